"""Which weights are trained, and when: the head alone, the head first, low-rank adapters.

A strategy knows the model, never the images, the attack or the objective.
"""
