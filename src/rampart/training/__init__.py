"""Training: optimiser, loop, checkpoints. Knows nothing of configurations or evaluation."""
