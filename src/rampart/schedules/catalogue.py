"""Every schedule by name: importing this module fills the registry."""

from rampart.schedules import auto, hinge, uniform
from rampart.schedules.base import SCHEDULES

__all__ = ["SCHEDULES", "auto", "hinge", "uniform"]
