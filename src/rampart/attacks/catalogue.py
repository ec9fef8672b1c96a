"""Importing this module registers every attack."""

from rampart.attacks import apgd, autoattack, fab, pgd, square
from rampart.attacks.base import ATTACKS

__all__ = ["ATTACKS", "apgd", "autoattack", "fab", "pgd", "square"]
