import doctest
import re

from hypothesis import given
from hypothesis import strategies as st

from rampart.reports import seeds
from rampart.reports.seeds import spell_seed_differences, spell_seeds


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_no_interval_leaves_zero_to_one_hundred(values):
    text = spell_seeds(values)
    if "±" in text:
        mean, margin = map(float, text.split(" ± "))
        assert -0.1 <= mean - margin <= mean + margin <= 100.1
    numbers = [float(number) for number in re.findall(r"-?[0-9.]+", text)]
    assert all(0 <= number <= 100 for number in numbers)


def test_below_three_seeds_there_is_no_interval():
    assert spell_seeds([0.0, 0.2]) == "0.0, 20.0"
    assert spell_seed_differences([0.1, 0.5], [0.2, 0.2]) == "-10.0, +30.0"
    assert spell_seed_differences([], []) == ""


def test_the_example_runs():
    result = doctest.testmod(seeds)
    assert result.attempted
    assert not result.failed
