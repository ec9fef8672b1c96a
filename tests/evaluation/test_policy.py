from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.evaluation.policy import Progress, Run, first

levels = st.integers(1, 12)
plans = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def test_begins_at_the_last_strength_with_every_run_ahead():
    start = first(8, [1, 2])
    assert start == Progress(8, (Run(0, 0), Run(1, 0), Run(1, 1)))
    assert (start.critical, start.finished) == (9, False)


def test_a_broken_sample_goes_on_in_the_same_run_and_a_failed_one_at_the_same_strength():
    start = first(8, [1, 1])
    assert start.is_adv(3) == Progress(3, start.runs)
    assert start.failed() == Progress(8, start.runs[1:])
    assert start.hopeless() == Progress(8, start.runs[1:], start.runs[:1])
    with pytest.raises(AssertionError):
        start.is_adv(8)


@given(levels, plans, st.data())
def test_any_course_of_events(n, runs, data):
    """Whatever the attacks do, every run ends once and the strength never rises."""
    start = progress = first(n, runs)
    ended, broke = Counter(), []
    while not progress.finished:
        run, before = progress.runs[0], progress
        event = data.draw(st.sampled_from(["broken", "failed", "hopeless"]))
        if event == "broken":
            progress = progress.is_adv(data.draw(st.integers(0, progress.level - 1)))
            broke.append(progress.level + 1)
            assert progress.runs == before.runs
            assert progress.given_up == (before.given_up if progress.level else ())
        else:
            progress = getattr(progress, event)()
            ended[run] += 1
            assert progress.level == before.level
            assert progress.given_up[len(before.given_up) :] == (run,) * (event == "hopeless")
        assert progress.critical == progress.level + 1 == min([n + 1, *broke])
        assert progress.finished == (progress.level == 0 or not progress.runs)
    assert set(ended.values()) <= {1}
    assert {*ended, *progress.runs} == set(start.runs)
    assert len(ended) + len(progress.runs) == len(start.runs) == sum(runs)
    again = progress.again()
    assert (again.runs, again.level, again.given_up) == (progress.given_up, progress.level, ())
    assert set(again.runs) <= set(ended)


@given(levels, plans, st.data())
def test_turns_change_the_order_inside_stages_only(n, runs, data):
    start = first(n, runs)
    keys = st.fixed_dictionaries({run: st.integers(0, 9) for run in start.runs})
    turns = data.draw(keys)
    known = {run: turns[run] for run in data.draw(st.sets(st.sampled_from(start.runs)))}
    ordered = start.ordered(known).runs
    assert sorted(ordered) == list(start.runs)
    assert [run.stage for run in ordered] == [run.stage for run in start.runs]
    for stage in range(len(runs)):
        of_stage = [known.get(run, run.number) for run in ordered if run.stage == stage]
        assert of_stage == sorted(of_stage)
