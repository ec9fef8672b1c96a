"""What training minimizes: per-sample losses at clean and at perturbed images.

An objective asks for perturbed images and does not know how they are made.
"""
