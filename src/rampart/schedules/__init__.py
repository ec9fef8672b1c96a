"""Schedules: the strength over time, eps(t) = alpha(t) · eps_g with alpha(t) in [0, 1].

Holds the schedules, the stepper and the preview. No torch, no training, no plots.
"""
