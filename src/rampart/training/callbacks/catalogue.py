"""Every callback by name: importing this module fills the registry."""

from rampart.training.callbacks import awp, ema
from rampart.training.callbacks.base import CALLBACKS

__all__ = ["CALLBACKS", "awp", "ema"]
