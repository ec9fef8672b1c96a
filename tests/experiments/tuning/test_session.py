"""Sessions of a search: the budget that is left, and the trials that are tried next."""

from dataclasses import replace
from itertools import islice

import pytest

from rampart.errors import InvalidArgument
from rampart.experiments.tuning.session import Budget, Session
from rampart.experiments.tuning.space import name_of
from rampart.experiments.tuning.starting_points import starting_points
from rampart.experiments.tuning.trials import Report, Trial


def session(search, **budget):
    starts = starting_points(search.config, search.space)
    return Session(search, Budget(**budget), starts, watcher=None)


def names(one, count):
    return [name_of(settings) for settings in islice(one.draws(), count)]


def test_a_resumed_search_tries_what_an_uninterrupted_one_tries(search):
    whole = names(session(search, runs=6), 6)
    search.open()
    settings = list(islice(session(search, runs=6).draws(), 6))
    for number, status in enumerate(("complete", "running", "stopped", "failed"), 1):
        search.save(Trial(number, settings[number - 1], status))
    rest = session(search, runs=6)
    assert rest.runs == 4
    # The unfinished and the failed trial first.
    assert names(rest, 4) == [whole[1], whole[3], whole[4], whole[5]]


def test_two_searches_of_one_seed_try_the_same(search, tmp_path):
    other = replace(search, output=tmp_path / "other")
    assert names(session(search, runs=5), 5) == names(session(other, runs=5), 5)


def test_a_larger_budget_goes_on_and_a_spent_one_does_not(search):
    search.open()
    first = session(search, runs=2)
    for number, settings in enumerate(first.points, 1):
        search.save(Trial(number, settings, "complete"))
    assert not session(search, runs=2).left
    assert session(search, runs=3).left


def test_minutes_count_over_all_sessions(search):
    search.open()
    settings = search.space.draw(0, 0)
    search.save(Trial(1, settings, "complete"))
    search.add_report(Report(name_of(settings), 3, 0.5, 90.0))
    assert session(search, minutes=2).seconds == pytest.approx(30)
    assert session(search, minutes=2).left
    assert not session(search, minutes=1.5).left


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({}, "--runs"),
        ({"runs": 0}, "--runs"),
        ({"minutes": 0}, "--minutes"),
        ({"minutes": float("nan")}, "--minutes"),
        ({"minutes": float("inf")}, "--minutes"),
    ],
)
def test_impossible_budgets_are_refused(wrong, name):
    with pytest.raises(InvalidArgument, match=f"^{name}="):
        Budget(**wrong)
