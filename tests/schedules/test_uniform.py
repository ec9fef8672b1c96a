import math
import statistics

import pytest

from rampart.schedules.scheduler import EpsilonScheduler
from rampart.schedules.uniform import RandomUniform, draw
from rampart.units import Horizon


def test_the_draws_are_the_recorded_ones():
    # Recorded once: a run must repeat on every platform and in every later version.
    assert [round(draw(0, epoch), 6) for epoch in range(4)] == [
        0.712733,
        0.943176,
        0.076936,
        0.211476,
    ]


def test_a_draw_depends_on_seed_and_epoch_alone():
    assert draw(1, 2) == draw(1, 2)
    assert len({draw(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400
    assert draw(1, 11) != draw(11, 1)


def test_the_draws_are_uniform():
    draws = [draw(7, epoch) for epoch in range(4000)]
    assert all(0 <= value < 1 for value in draws)
    # Standard errors of mean and variance are 0.0046 and 0.0012.
    assert statistics.mean(draws) == pytest.approx(1 / 2, abs=0.02)
    assert statistics.variance(draws) == pytest.approx(1 / 12, abs=0.005)


def test_alpha_is_constant_within_an_epoch():
    schedule = RandomUniform(seed=3)
    for epoch in range(5):
        assert {schedule.alpha(epoch + part, 5) for part in (0, 0.3, 0.999)} == {draw(3, epoch)}


def test_the_last_draw_lasts_to_the_end():
    assert RandomUniform().alpha(5, 5) == RandomUniform().alpha(99, 5) == draw(0, 4)


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_stepper_gives_one_value_an_epoch(interval):
    scheduler = EpsilonScheduler(RandomUniform(), 8 / 255, Horizon(4, 3), interval)
    strengths = []
    for _ in range(12):
        strengths.append(scheduler.eps)
        scheduler.step()
    expected = [8 / 255 * draw(0, math.floor(step / 3)) for step in range(12)]
    assert strengths == pytest.approx(expected)
