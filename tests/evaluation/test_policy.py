from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.evaluation.engine.policy import AttackRun, SampleProgress, first_progress

n_strengths = st.integers(1, 12)
plans = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def test_a_sample_starts_at_the_largest_strength_with_all_runs_ahead():
    start = first_progress(8, [1, 2])
    assert start == SampleProgress(8, (AttackRun(0, 0), AttackRun(1, 0), AttackRun(1, 1)))
    assert (start.critical, start.finished) == (9, False)


def test_a_success_continues_the_run_and_a_failure_keeps_the_strength():
    start = first_progress(8, [1, 1])
    assert start.descend(3) == SampleProgress(3, start.runs)
    assert start.fail_run() == SampleProgress(8, start.runs[1:])
    assert start.prune_run() == SampleProgress(8, start.runs[1:], start.runs[:1])
    with pytest.raises(AssertionError):
        start.descend(8)


@given(n_strengths, plans, st.data())
def test_any_course_of_events(n, runs, data):
    """For any events, every run ends once and the strength never rises."""
    start = progress = first_progress(n, runs)
    ended, critical = Counter(), []
    while not progress.finished:
        run, before = progress.runs[0], progress
        event = data.draw(st.sampled_from(["success", "fail_run", "prune_run"]))
        if event == "success":
            progress = progress.descend(data.draw(st.integers(0, progress.grid_index - 1)))
            critical.append(progress.grid_index + 1)
            assert progress.runs == before.runs
            assert progress.pruned == (before.pruned if progress.grid_index else ())
        else:
            progress = getattr(progress, event)()
            ended[run] += 1
            assert progress.grid_index == before.grid_index
            assert progress.pruned[len(before.pruned) :] == (run,) * (event == "prune_run")
        assert progress.critical == progress.grid_index + 1 == min([n + 1, *critical])
        assert progress.finished == (progress.grid_index == 0 or not progress.runs)
    assert set(ended.values()) <= {1}
    assert {*ended, *progress.runs} == set(start.runs)
    assert len(ended) + len(progress.runs) == len(start.runs) == sum(runs)
    assert set(progress.pruned) <= set(ended)


@given(n_strengths, plans, st.data())
def test_turns_change_the_order_within_stages_only(n, runs, data):
    start = first_progress(n, runs)
    keys = st.fixed_dictionaries({run: st.integers(0, 9) for run in start.runs})
    turns = data.draw(keys)
    known = {run: turns[run] for run in data.draw(st.sets(st.sampled_from(start.runs)))}
    ordered = start.order_runs(known).runs
    assert sorted(ordered) == list(start.runs)
    assert [run.stage for run in ordered] == [run.stage for run in start.runs]
    for stage in range(len(runs)):
        of_stage = [known.get(run, run.number) for run in ordered if run.stage == stage]
        assert of_stage == sorted(of_stage)
