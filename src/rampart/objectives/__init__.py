"""Objectives: the per-sample losses that training minimizes, at clean and perturbed images.

An objective calls a function that perturbs images, and does not know the attack behind it.
"""
