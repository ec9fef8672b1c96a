"""Every strategy by name: importing this module fills the registry."""

from rampart.strategies import autolora, hyperat, lora, probing
from rampart.strategies.base import STRATEGIES

__all__ = ["STRATEGIES", "autolora", "hyperat", "lora", "probing"]
