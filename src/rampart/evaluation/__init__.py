"""Evaluation under attack: accuracy during training, critical strengths afterwards.

This package depends on attacks and data, not on training. `rampart.metrics` computes figures from
its results.
"""
