"""What attacks a model to measure it: accuracy while training, critical strengths afterwards.

Knows attacks and data, not training; what is computed from the results is in `rampart.metrics`.
"""
