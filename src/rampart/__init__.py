"""Rampart: robust fine-tuning of pretrained image classifiers, and an honest measure of it.

The names are listed in `__init__.pyi`, for type checkers too, and imported at first use, so that
`import rampart` costs nothing:

    import rampart

    run = rampart.finetune("resnet50.a1_in1k", "photos/", eps="4/255")
    result = rampart.evaluate(run.model, loader, eps="8/255", attack="standard")

    schedule = rampart.TwoHinge.at_fractions(0.25, 0.75)
    attack = rampart.AutoAttack(version="standard")
"""

import os

import lazy_loader

# MKL, which multiplies matrices for torch on many CPUs, rounds a row by where it lies in memory
# unless it is told to be reproducible. It reads this once, at its first product.
os.environ.setdefault("MKL_CBWR", "AUTO")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
