"""The search space: its keys and ranges, seeded draws, and settings in a configuration."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from rampart.errors import InvalidArgument
from rampart.experiments.tuning.space import (
    DECAYS,
    RAMP,
    RATES,
    Space,
    make_space,
    name_of,
    with_settings,
)
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import change_config

KEYS = [
    "optimizer.backbone_lr",
    "optimizer.head_lr",
    "optimizer.backbone_weight_decay",
    "optimizer.head_weight_decay",
]


def test_rates_and_decays_of_head_and_backbone_are_searched(tuned_config):
    space = make_space(tuned_config, per_phase=False)
    assert list(space.ranges) == KEYS
    assert space.ranges["optimizer.head_lr"] == RATES == (1e-5, 1e-1)
    assert space.ranges["optimizer.head_weight_decay"] == DECAYS


def test_a_frozen_backbone_has_no_rates_to_search(tuned_config):
    frozen = change_config(tuned_config, ["strategies=[linear-probe]"])
    assert list(make_space(frozen, per_phase=False).ranges) == KEYS[1::2]


@pytest.mark.parametrize("schedule", ["two-hinge", "adaptive", "auto", "linear"])
def test_the_phases_apart_add_one_factor(tuned_config, schedule):
    config = change_config(tuned_config, [f"schedule={schedule}"])
    assert list(make_space(config, per_phase=True).ranges) == [*KEYS, RAMP]


@pytest.mark.parametrize("change", ["schedule=fix", "schedule=standard", "objective=standard"])
def test_a_run_of_one_phase_has_no_phases_apart(tuned_config, change):
    with pytest.raises(InvalidArgument, match="^--per-phase="):
        make_space(change_config(tuned_config, [change]), per_phase=True)


def test_draws_are_keyed_by_seed_and_number(tuned_config):
    space = make_space(tuned_config, per_phase=False)
    first = [space.draw(0, number) for number in range(5)]
    assert [space.draw(0, number) for number in reversed(range(5))] == first[::-1]
    assert len({name_of(one) for one in first}) == 5
    assert space.draw(1, 0) != first[0]


def test_draws_are_uniform_on_a_log_scale():
    space = Space({"a": (1e-5, 1e-1)})
    values = np.log10([space.draw(3, number)["a"] for number in range(400)])
    assert kstest((values + 5) / 4, "uniform").pvalue > 0.01


def test_settings_change_their_keys_only(tuned_config):
    drawn = make_space(tuned_config, per_phase=True).draw(0, 0)
    changed = differences(tuned_config, with_settings(tuned_config, drawn))
    assert {one.key: one.new for one in changed} == drawn
    assert all(math.isfinite(value) for value in drawn.values())


def test_a_zero_is_refused_on_a_log_scale(tuned_config):
    space = make_space(tuned_config, per_phase=False)
    config = change_config(tuned_config, ["optimizer.head_weight_decay=0"])
    with pytest.raises(InvalidArgument, match=r"^optimizer.head_weight_decay=0"):
        space.require_positive(space.of(config))
