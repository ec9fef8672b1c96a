"""Training: optimizer, loop, checkpoints. No configurations, no evaluation."""
