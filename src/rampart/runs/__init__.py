"""A run on disk: its folder, its history and the folders of its evaluations."""
