"""Classifiers: from a name or a weights file to a model of pixels in [0, 1], and back to a folder.

Every model is a timm backbone inside `NormalizedModel`. Holds finding, building, loading and
saving; knows nothing of data, attacks or training.
"""
