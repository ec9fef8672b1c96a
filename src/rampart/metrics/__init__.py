"""What is computed from critical strengths: curve, expected robustness, intervals and tests.

Plain functions of numpy arrays; no torch, no files, no models.
"""
