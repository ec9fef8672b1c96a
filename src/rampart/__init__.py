"""Rampart: robust fine-tuning of pretrained image classifiers, and evaluation of their robustness.

`__init__.pyi` lists the names, also for type checkers. They are imported at first use, so that
`import rampart` is fast:

    import rampart

    run = rampart.finetune("resnet50.a1_in1k", "photos/", eps="4/255")
    result = rampart.evaluate(run.model, loader, eps="8/255", attack="standard")

    schedule = rampart.TwoHinge.at_fractions(0.25, 0.75)
    attack = rampart.AutoAttack(version="standard")
"""

import os

import lazy_loader

# On many CPUs torch multiplies matrices with MKL. Without this variable, MKL's rounding of a row
# depends on its memory address. MKL reads the variable once, at its first product.
os.environ.setdefault("MKL_CBWR", "AUTO")
# The threads of a small network wait for each other thousands of times a second. By default a
# waiting thread keeps its core busy. If another program takes one core, the thread that is waited
# for gets no core, and each wait lasts a time slice. OpenMP reads this when torch is imported; the
# number of threads, on which rounding depends, does not change.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
