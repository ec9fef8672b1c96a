"""Recipes: build the objects that a configuration describes, train a run, evaluate a model."""
