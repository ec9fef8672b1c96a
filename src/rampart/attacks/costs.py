"""The passes of an attack on one image, before it runs.

A pass is one image forward, or one image backward.
"""

from rampart.attacks.base import Attack
from rampart.attacks.stages import Stage
from rampart.units import Norm


def attack_passes(attack: Attack, norm: Norm | None = None, classes: int = 2) -> int:
    """Return the most passes of an attack on one image; a run that ends early takes fewer.

    An attack without stages, such as FGSM, takes one forward and one backward.

    Args:
        attack: the attack.
        norm: of the ball; by default the attack's own.
        classes: number of classes, for an attack that tries several targets.
    """
    norm = attack.norm if norm is None else norm
    return sum(_stage_passes(stage, norm, classes) for stage in attack.stages()) or 2


def _stage_passes(stage: Stage, norm: Norm, classes: int) -> int:
    algorithm = stage.algorithm
    each = (2 if algorithm.gradient else 1) * int(getattr(algorithm, "draws", 1))
    return stage.runs(classes) * algorithm.count_queries(norm) * each
