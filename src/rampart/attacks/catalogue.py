"""Every attack by name: importing this module fills the registry."""

from rampart.attacks import apgd, pgd, square
from rampart.attacks.base import ATTACKS

__all__ = ["ATTACKS", "apgd", "pgd", "square"]
