"""The first trials: the configuration's own values, and the published tuned ones."""

from collections import Counter

from rampart.experiments.published.recognizing import short_dataset
from rampart.experiments.tuning.space import RAMP, Settings, Space
from rampart.published import TunedSettings, short_name, tuned_settings
from rampart.recipes.config.run_config import RunConfig


def starting_points(config: RunConfig, space: Space) -> list[Settings]:
    """Return the first trials, each once: the published values and those of the configuration."""
    points = [space.of(config), published_point(config, space)]
    return [point for place, point in enumerate(points) if point not in points[:place]]


def published_point(config: RunConfig, space: Space) -> Settings:
    """Return the values that the benchmark (arXiv 2508.14079) tuned for backbone and dataset.

    If it has not tuned this pair, these are the values that it chose most often.
    """
    tuned = _tuned(config) or most_frequent()
    values = {**tuned, RAMP: 1.0}
    return {key: values[key] for key in space.ranges}


def most_frequent() -> Settings:
    """Return the values that won for most pairs of backbone and dataset."""
    counted = Counter(tuple(_settings(one).items()) for one in tuned_settings())
    return dict(counted.most_common(1)[0][0])


def _tuned(config: RunConfig) -> Settings | None:
    # A name on the hub begins with its owner.
    backbone = short_name("backbone", config.model.name.rpartition("/")[2])
    pair = (backbone, short_dataset(config.data.name))
    found = {
        one.objective: _settings(one)
        for one in tuned_settings()
        if (one.backbone, one.dataset) == pair
    }
    return found.get(config.objective.name, found.get("adversarial"))


def _settings(tuned: TunedSettings) -> Settings:
    names = ("backbone_lr", "head_lr", "backbone_weight_decay", "head_weight_decay")
    return {f"optimizer.{name}": float(getattr(tuned, name)) for name in names}
