"""Checks of whether the numbers of an evaluation can be trusted, with machine-readable verdicts.

Model checks run before an evaluation, result checks after it. They do not change its results.
"""
