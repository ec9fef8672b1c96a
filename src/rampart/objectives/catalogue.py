"""Every objective by name: importing this module fills the registry."""

from rampart.objectives import adversarial, mart
from rampart.objectives.base import OBJECTIVES

__all__ = ["OBJECTIVES", "adversarial", "mart"]
