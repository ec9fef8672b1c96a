"""Evaluate a run, or any other model, and check a record again."""
