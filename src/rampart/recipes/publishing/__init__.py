"""Publish a run: its model in timm's format, its card and its records, in a folder or on a hub."""
