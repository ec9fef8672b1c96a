"""Training: optimizer, loop, checkpoints. Knows nothing of configurations or evaluation."""
