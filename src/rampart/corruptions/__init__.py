"""Common corruptions of images: ImageNet-C's fifteen kinds at five severities.

Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (Hendrycks and
Dietterich, ICLR 2019, arXiv 1903.12261). Kernels are functions of (pixels, parameter, draws); what
belongs here needs numpy, scipy and pillow only.
"""
