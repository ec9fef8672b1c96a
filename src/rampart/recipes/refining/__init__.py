"""Refine a finished run after training: RiFT."""
