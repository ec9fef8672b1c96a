"""Experiments: many runs, their identities, and what is done and missing."""
