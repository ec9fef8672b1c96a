"""The search space: learning rates and weight decays of head and backbone, on a log scale."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import change_config
from rampart.recipes.config.run_config import RunConfig
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import longest_probe
from rampart.units import Horizon

#: Values by key of the configuration.
Settings = dict[str, float]
Range = tuple[float, float]

#: The range of the publication (arXiv 2509.23325).
RATES: Range = (1e-5, 1e-1)
#: The same, extended to the smallest weight decay that the published benchmark (arXiv 2508.14079)
#: chose.
DECAYS: Range = (1e-6, 1e-1)
#: Of the learning rates while eps is above 0, relative to those at eps = 0.
FACTORS: Range = (0.1, 10.0)
RAMP = "optimizer.ramp_lr_factor"


@dataclass(frozen=True)
class Space:
    """Keys with their ranges, each searched log-uniformly."""

    ranges: Mapping[str, Range]

    def draw(self, seed: int, number: int) -> Settings:
        """Return the settings with a number, counted from 0; the same for the same seed."""
        from rampart.runtime import derive

        generator = np.random.default_rng(derive(seed, "trial", number))
        settings = {}
        for key, (low, high) in self.ranges.items():
            value = math.exp(generator.uniform(math.log(low), math.log(high)))
            # Three digits are enough, and can be copied from the table.
            settings[key] = float(f"{value:.3g}")
        return settings

    def of(self, config: RunConfig) -> Settings:
        """Return the values of a configuration."""
        return {key: float(getattr(config.optimizer, _name(key))) for key in self.ranges}

    def require_positive(self, settings: Settings) -> None:
        """Refuse values that a log scale lacks.

        Raises:
            InvalidArgument: a value is 0.
        """
        for key, value in settings.items():
            if value <= 0:
                raise InvalidArgument(
                    key,
                    value,
                    "a value above 0 with --sampler optuna, which models a log scale",
                    f"write {key}={self.ranges[key][0]:g}, or use --sampler random",
                )


def make_space(config: RunConfig, per_phase: bool) -> Space:
    """Return the search space of a configuration.

    The backbone's keys are left out if a strategy freezes it. With `per_phase` the space has a
    factor on both learning rates while eps is above 0.

    Raises:
        InvalidArgument: `per_phase` for a run that does not have both phases.
    """
    strategies = config.components.strategies.values()
    frozen = any(one.backbone == "frozen" for one in strategies)
    parts = ("head",) if frozen else ("backbone", "head")
    ranges = {f"optimizer.{part}_lr": RATES for part in parts}
    ranges |= {f"optimizer.{part}_weight_decay": DECAYS for part in parts}
    if per_phase:
        _require_phases(config)
        ranges[RAMP] = FACTORS
    return Space(ranges)


def _require_phases(config: RunConfig) -> None:
    """Refuse a run without steps at eps = 0 or without steps above it."""
    horizon = Horizon(config.training.epochs, 1)
    parts = config.components
    probe = longest_probe(parts.strategies.values(), horizon.epochs)
    scheduler = EpsilonScheduler(
        parts.schedule, config.threat.eps, horizon, chance=0.0, probe=probe
    )
    alphas = [scheduler.alpha_at(step) for step in range(horizon.steps)]
    both = scheduler.follows or (0.0 in alphas and max(alphas) > 0)
    if not (both and config.attacks):
        raise InvalidArgument(
            "--per-phase",
            f"schedule={config.schedule.name}",
            "an attack in training, and a schedule with epochs at eps = 0 and above it",
            "leave out --per-phase, or write schedule=two-hinge",
        )


def with_settings(config: RunConfig, settings: Settings) -> RunConfig:
    """Return a configuration with the values of a trial."""
    return change_config(config, [f"{key}={value!r}" for key, value in settings.items()])


def name_of(settings: Settings) -> str:
    """Return the name of a trial, a hash of its settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def spell(settings: Settings) -> str:
    """Return settings in one line, without their section."""
    return ", ".join(f"{_name(key)} {value:.3g}" for key, value in settings.items())


def _name(key: str) -> str:
    return key.rpartition(".")[2]
