"""Rampart in other training loops: plain PyTorch, Lightning, Hugging Face's Trainer.

These modules only connect the parts of `rampart train` to the other loop.
"""
