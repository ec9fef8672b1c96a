"""Rampart: robust fine-tuning of pretrained image classifiers, and an honest measure of it.

The names are listed in `__init__.pyi`, for type checkers too, and imported at first use, so that
`import rampart` costs nothing:

    import rampart

    config = rampart.load_config(None, ["model=resnet18.a1_in1k", "data=photos"])
    folder = rampart.train_run(config, Path("runs/first"))
    where, record = rampart.evaluate_run(folder.path)

    schedule = rampart.TwoHinge.at_fractions(0.25, 0.75)
    attack = rampart.AutoAttack(version="standard")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
