import numpy as np
from test_engine import attack_suite, net
from test_whole import GRID, evaluate, split_for

from rampart.evaluation.partial_results import PartialResults
from rampart.evaluation.rerun import FIRST_PHASE, rerun
from rampart.evaluation.results import Results

ATTACK = attack_suite("short", steps=4)


def rechecked(model, split, results: Results, n: int, **options):
    return rerun(model, split, ATTACK, GRID, 3, results, n, **options)


def test_independent_runs_agree_with_the_engine():
    """Up to noise: 2 of 8 * 25 samples and strengths."""
    model = net(1)
    split = split_for(model, 40)
    results = evaluate(model, split, mode="exact").results
    found = rechecked(model, split, results, 25)
    assert found.robust.shape == found.claimed.shape == (8, 25)
    assert len(set(found.rows)) == 25
    assert (found.robust ^ found.claimed).sum() <= 2
    for grid_index in range(1, 9):
        np.testing.assert_array_equal(
            found.claimed[grid_index - 1], results.critical[found.rows] > grid_index
        )
    figures = found.figures(GRID)
    assert figures["n"] == 25
    assert figures["passes"] == found.passes > 8 * 25
    assert [row["eps"] for row in figures["strengths"]] == list(GRID[1:])
    for row, claimed, alone in zip(figures["strengths"], found.claimed, found.robust, strict=True):
        assert row["accuracy"] == claimed.mean()
        assert row["alone"] == alone.mean()
        difference = row["only_alone_found"] - row["only_engine_found"]
        assert difference == claimed.sum() - alone.sum()


def test_overrated_results_are_reported():
    model = net(1)
    split = split_for(model, 20)
    results = evaluate(model, split, mode="exact").results
    boast = results.select(range(20))
    boast.critical[:] = 9
    figures = rechecked(model, split, boast, 20).figures(GRID)
    assert figures["strengths"][-1]["accuracy"] == 1
    assert figures["strengths"][-1]["only_alone_found"] == (results.critical < 9).sum()


def test_a_small_split_is_attacked_again_as_a_whole():
    model = net(1)
    split = split_for(model, 6)
    results = evaluate(model, split, mode="exact").results
    assert rechecked(model, split, results, 100).rows.tolist() == list(range(6))


def test_an_interrupted_rerun_resumes(tmp_path):
    model = net(1)
    split = split_for(model, 12)
    results = evaluate(model, split, partial_results=PartialResults(tmp_path, {})).results
    first = rechecked(model, split, results, 8, partial_results=PartialResults(tmp_path, {}))
    assert len(PartialResults(tmp_path, {}).read(FIRST_PHASE + 8)) == 8

    def silent(images):
        raise AssertionError("asked")

    again = rechecked(silent, split, results, 8, partial_results=PartialResults(tmp_path, {}))
    np.testing.assert_array_equal(again.robust, first.robust)
    assert again.passes == first.passes
    # The rerun does not change the partial results of the evaluation.
    resumed = evaluate(silent, split, partial_results=PartialResults(tmp_path, {}))
    np.testing.assert_array_equal(resumed.results.critical, results.critical)


def test_a_rerun_draws_other_noise_than_the_evaluation():
    model = net(1)
    split = split_for(model, 20)
    one = evaluate(model, split, mode="exact").results
    found = rechecked(model, split, one, 20)
    assert found.passes != one.forwards_total + one.backwards_total
