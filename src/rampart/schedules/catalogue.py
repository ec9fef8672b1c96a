"""Every schedule by name: importing this module fills the registry."""

from rampart.schedules import adaptive, auto, hinge, plateau, uniform
from rampart.schedules.base import SCHEDULES

__all__ = ["SCHEDULES", "adaptive", "auto", "hinge", "plateau", "uniform"]
