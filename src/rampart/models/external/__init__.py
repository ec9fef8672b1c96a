"""Classifiers that were not made here: from a reference to a model of pixels in [0, 1].

One file for each kind of origin; `find` says which reference means which. Knows nothing of data,
attacks or evaluation.
"""
