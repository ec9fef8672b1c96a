"""Figures from critical strengths: curve, expected robustness, intervals and tests.

All are functions of numpy arrays, without torch, files or models.
"""
