"""External models: from a reference to a classifier of pixels in [0, 1].

One file for each kind of source; `load` decides the kind of a reference. No data, no attacks, no
evaluation.
"""
