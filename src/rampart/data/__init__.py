"""Labeled images: where they come from, how they are split, read, batched and augmented.

Holds the dataset formats (folder or tar, public libraries, the embedded task), the batches of an
epoch and the augmentations. Knows nothing of models, attacks or training.
"""
