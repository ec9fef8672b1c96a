"""Rampart: robust fine-tuning of pretrained image classifiers, and an honest measure of it.

The names below are imported at first use, so that `import rampart` costs nothing:

    import rampart

    config = rampart.load_config(None, ["model=resnet18.a1_in1k", "data=photos"])
    folder = rampart.train_run(config, Path("runs/first"))
    where, record = rampart.evaluate_run(folder.path)

    schedule = rampart.TwoHinge.at_fractions(0.25, 0.75)
    attack = rampart.Apgd(steps=10)
    tier = rampart.ATTACKS.build("standard")  # AutoAttack
"""

from importlib import import_module
from typing import Any

from rampart.version import __version__ as __version__

_HOMES = {
    "ATTACKS": "rampart.attacks.catalogue",
    "Adaptive": "rampart.schedules.adaptive",
    "Adversarial": "rampart.objectives.adversarial",
    "Apgd": "rampart.attacks.apgd",
    "Auto": "rampart.schedules.auto",
    "Beta": "rampart.metrics.distributions",
    "EpsilonScheduler": "rampart.schedules.scheduler",
    "EvaluationRecord": "rampart.records.record",
    "Fare": "rampart.objectives.fare",
    "Fab": "rampart.attacks.fab",
    "Fgsm": "rampart.attacks.pgd",
    "Horizon": "rampart.units",
    "Mart": "rampart.objectives.mart",
    "Noise": "rampart.runtime",
    "OBJECTIVES": "rampart.objectives.catalogue",
    "Pgd": "rampart.attacks.pgd",
    "Piecewise": "rampart.metrics.distributions",
    "RobustLoss": "rampart.integrations.robust",
    "RampartError": "rampart.errors",
    "RunConfig": "rampart.recipes.config.run_config",
    "Square": "rampart.attacks.square",
    "SCHEDULES": "rampart.schedules.catalogue",
    "ThreatModel": "rampart.threat",
    "Trades": "rampart.objectives.adversarial",
    "TwoHinge": "rampart.schedules.hinge",
    "callable_model": "rampart.models.foreign.evaluated",
    "critical_strengths": "rampart.evaluation.critical",
    "evaluate_other": "rampart.recipes.evaluation.evaluate",
    "evaluate_run": "rampart.recipes.evaluation.evaluate",
    "evaluate_split": "rampart.evaluation.whole",
    "expected_robustness": "rampart.metrics.expectation",
    "find_model": "rampart.models.foreign.find",
    "load_config": "rampart.recipes.config.loading",
    "load_record": "rampart.records.storage",
    "parse_config": "rampart.recipes.config.loading",
    "parse_eps": "rampart.units",
    "save_record": "rampart.records.storage",
    "train_run": "rampart.recipes.run",
    "verify_record": "rampart.evaluation.verify",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rampart' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
