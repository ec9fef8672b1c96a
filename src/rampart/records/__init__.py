"""What an evaluation leaves on disk: one row per sample, from which every figure is computed."""
