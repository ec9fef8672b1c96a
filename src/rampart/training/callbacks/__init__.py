"""Callbacks act around the optimizer steps of a run: averaged weights, perturbed weights.

A callback changes how a step is made or which weights are measured. An objective decides what is
minimized, and an attack changes the images.
"""
