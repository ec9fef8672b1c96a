"""Evaluate a run or any other model, and verify a record."""
