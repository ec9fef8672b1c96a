"""Labeled images: sources, splits, decoding, batches and augmentation.

Holds the dataset formats (folder or tar, public libraries, embedded tasks), the batches of an epoch
and the augmentations. No models, no attacks, no training.
"""
