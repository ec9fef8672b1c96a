"""Every objective by name: importing this module fills the registry."""

from rampart.objectives import adversarial, autolora, drawn, fare, mart, noisy_labels, twins
from rampart.objectives.base import OBJECTIVES

__all__ = [
    "OBJECTIVES",
    "adversarial",
    "autolora",
    "drawn",
    "fare",
    "mart",
    "noisy_labels",
    "twins",
]
