"""Strategies: which weights are trained and when, such as the head first or low-rank adapters.

A strategy knows the model, but not the images, the attack or the objective.
"""
