"""Classifiers of pixels in [0, 1], built from a name or a weights file and saved to a folder.

Every model is a timm backbone inside `NormalizedModel`. Here models are found, built, loaded and
saved. No data, no attacks, no training.
"""
