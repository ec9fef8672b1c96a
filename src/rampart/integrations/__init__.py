"""Rampart inside other people's loops: plain PyTorch, Lightning, Hugging Face's Trainer.

What is here only carries the parts to where the other loop calls them; the parts themselves are
those of `rampart train`.
"""
