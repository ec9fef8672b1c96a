"""What acts around the optimizer steps of a run: averages of the weights, perturbed weights.

A callback changes how a step is made or what is measured of it, never what is minimized (that is an
objective) and never the images (that is an attack).
"""
