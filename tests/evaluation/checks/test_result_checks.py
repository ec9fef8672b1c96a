import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.evaluation.checks.class_order import Predicted
from rampart.evaluation.checks.result_checks import RESULT_CHECKS, check_results
from rampart.skill import chance_of

STAGES = ("apgd-ce", "apgd-t", "fab-t", "square")
LEVELS = 8


def evaluation(n=200, seed=0):
    """Critical indices of an ordinary evaluation: APGD set all of them."""
    rng = np.random.default_rng(seed)
    critical = rng.integers(0, LEVELS + 2, n)
    found = (critical > 0) & (critical <= LEVELS)
    return critical, np.where(found, rng.integers(0, 2, n), -1)


def ask(critical, stage, before_recheck=None, rechecked=None, names=STAGES, runs=None, **options):
    before_recheck = critical if before_recheck is None else before_recheck
    rechecked = np.zeros(len(critical), bool) if rechecked is None else rechecked
    found = check_results(
        critical, stage, before_recheck, rechecked, names, LEVELS, runs, **options
    )
    assert tuple(verdict.check for verdict in found) == RESULT_CHECKS
    return {verdict.check: verdict for verdict in found}


def independent(critical, flip=0.02, seed=1):
    """Runs at single strengths that agree up to chance."""
    rng = np.random.default_rng(seed)
    return {k: (critical > k) ^ (rng.random(len(critical)) < flip) for k in range(1, LEVELS + 1)}


@pytest.mark.parametrize("seed", range(10))
def test_a_sound_evaluation_passes(seed):
    critical, stage = evaluation(seed=seed)
    rechecked = np.arange(len(critical)) % 10 == 0
    runs = {k: critical > k for k in range(1, LEVELS + 1)}
    finite = np.ones(len(critical), bool)
    labels = np.arange(len(critical)) % 10
    predicted = Predicted(labels, np.where(critical > 0, labels, 0), [str(k) for k in range(10)])
    options = {"runs": runs, "chance": 0.1, "finite": finite, "predicted": predicted}
    found = ask(critical, stage, None, rechecked, **options)
    assert {v.status for v in found.values()} == {"pass"}


def test_logits_that_are_not_finite_are_counted_and_the_first_one_is_named():
    critical, stage = evaluation()
    ids = [f"image {number}" for number in range(len(critical))]
    finite = np.ones(len(critical), bool)
    attacked, clean = np.flatnonzero(stage >= 0)[:3], np.flatnonzero(critical == 0)[:2]
    finite[attacked] = False
    found = ask(critical, stage, finite=finite, ids=ids)["finite"]
    assert (found.status, found.value) == ("warn", 3 / len(critical))
    assert f"0 clean images and 3 adversarial examples of {len(critical)}" in found.message
    assert ids[attacked[0]] in found.message
    finite[clean] = False
    found = ask(critical, stage, finite=finite)["finite"]
    assert found.status == "fail"
    assert "2 clean images and 3 adversarial examples" in found.message
    finite[:] = np.arange(len(critical)) != clean[0]
    message = ask(critical, stage, finite=finite)["finite"].message
    assert "1 clean image and 0 adversarial examples" in message


def test_differences_by_chance_are_not_reported():
    alarms = 0
    for seed in range(40):
        critical, stage = evaluation(seed=seed)
        # Chance differences within one strength of the critical one.
        rng = np.random.default_rng(seed)
        shaken = critical + rng.integers(-1, 2, len(critical)) * (rng.random(len(critical)) < 0.05)
        runs = {k: np.where(critical == 0, False, shaken > k) for k in (2, 5, 8)}
        found = ask(critical, stage, runs=runs)
        alarms += found["rerun"].status == "fail" or found["monotone"].status == "fail"
    assert alarms <= 1


@pytest.mark.parametrize(("fraction", "status"), [(0.02, "warn"), (0.2, "fail")])
def test_catches_a_black_box_that_beats_gradients(fraction, status):
    critical, stage = evaluation()
    stage[np.flatnonzero(stage >= 0)[: int(fraction * 200) + 1]] = STAGES.index("square")
    found = ask(critical, stage)
    assert found["black-box"].status == status
    assert found["black-box"].value > fraction
    assert found["fab"].status == "pass"


def test_catches_fab_that_beats_apgd_but_allows_a_few():
    critical, stage = evaluation()
    is_adv = np.flatnonzero(stage >= 0)
    stage[is_adv[:4]] = STAGES.index("fab-t")
    assert ask(critical, stage)["fab"].status == "pass"
    stage[is_adv[:20]] = STAGES.index("fab-t")
    found = ask(critical, stage)
    assert (found["fab"].status, found["black-box"].status) == ("fail", "pass")


@pytest.mark.parametrize(
    ("stem", "fraction", "status"),
    [
        ("square", 0.02, "warn"),
        ("square", 0.06, "fail"),
        ("fab-t", 0.02, "pass"),
        ("fab-t", 0.05, "warn"),
        ("fab-t", 0.12, "fail"),
        ("fab-t", 0.45, "fail"),
    ],
)
def test_late_attacks_fail_by_the_fraction_of_correct_samples(stem, fraction, status):
    """Half of the samples are misclassified without an attack, and count for nothing."""
    critical = np.where(np.arange(400) < 200, 0, 3)
    stage = np.where(critical > 0, 0, -1)
    stage[200 : 200 + round(200 * fraction)] = STAGES.index(stem)
    found = ask(critical, stage)
    verdict = found["fab" if stem == "fab-t" else "black-box"]
    assert (verdict.status, verdict.value) == (status, pytest.approx(fraction))
    assert status == "pass" or f"{100 * fraction:.1f} % of the correct samples" in verdict.message


def test_a_single_sample_is_not_reported():
    critical, stage = evaluation(n=20)
    stage[np.flatnonzero(stage >= 0)[0]] = STAGES.index("square")
    assert ask(critical, stage)["black-box"].status == "pass"


@pytest.mark.parametrize("names", [("square",), ("apgd-ce",), ("fab-t",), ("square", "apgd-ce")])
def test_a_suite_without_the_pair_of_attacks_is_skipped(names):
    critical, stage = evaluation()
    found = ask(critical, np.minimum(stage, 0), names=names)
    assert found["black-box"].status == found["fab"].status == "skipped"


@pytest.mark.parametrize(
    ("lowered", "status"), [(0, "pass"), (1, "pass"), (3, "warn"), (9, "fail")]
)
def test_catches_pruning_that_is_too_early(lowered, status):
    critical, stage = evaluation()
    rechecked = np.arange(200) < 60
    before = critical.copy()
    before[np.flatnonzero(rechecked & (critical < LEVELS))[:lowered]] += 1
    found = ask(critical, stage, before, rechecked)["pruning"]
    assert (found.status, found.value) == (status, lowered / 60)
    assert ask(critical, stage, before, rechecked, pruned=np.zeros(200))["pruning"].status == "pass"


def test_the_bound_of_pruning_is_exact():
    """With none of n lowered, the bound p solves (1 - p)^n = 0.05."""
    critical, stage = evaluation()
    found = ask(critical, stage, None, np.arange(200) < 60)["pruning"]
    assert f"{100 * (1 - 0.05 ** (1 / 60)):.1f} %" in found.message


@pytest.mark.parametrize(("rechecked", "status"), [(1, "skipped"), (4, "skipped"), (5, "pass")])
def test_a_few_rechecked_samples_do_not_pass(rechecked, status):
    """With four, the bound is 53 %; with five, 45 %."""
    critical, stage = evaluation()
    found = ask(critical, stage, None, np.arange(200) < rechecked, pruned=np.ones(200))["pruning"]
    assert found.status == status
    assert f"{100 * (1 - 0.05 ** (1 / rechecked)):.1f} %" in found.message


@pytest.mark.parametrize("lowered", [0, 1])
def test_a_recheck_of_a_stated_power_says_what_it_excludes(lowered):
    critical, stage = evaluation()
    rechecked, pruned = np.arange(200) < 20, (np.arange(200) >= 20) & (critical > 1)
    before = critical.copy()
    before[np.flatnonzero(rechecked & (critical < LEVELS))[:lowered]] += 1
    found = ask(critical, stage, before, rechecked, pruned=pruned, excluded=0.071)["pruning"]
    assert found.status == "pass"
    assert "7.1 points" in found.message
    assert f"20 of {20 + pruned.sum()} images" in found.message
    assert f"{lowered} withstand less" in found.message


def test_one_rechecked_sample_that_pruning_left_too_high_fails():
    critical, stage = evaluation()
    before, rechecked = critical.copy(), np.arange(200) == np.flatnonzero(critical < LEVELS)[0]
    before[rechecked] += 1
    assert ask(critical, stage, before, rechecked)["pruning"].status == "fail"


def test_catches_accuracy_that_rises_with_strength():
    critical, stage = evaluation()
    runs = {k: critical > k for k in range(1, LEVELS + 1)}
    runs[7] = critical > 2
    found = ask(critical, stage, runs=runs)
    assert found["monotone"].status == "fail"
    assert "at strength 7 of the grid than at 6" in found["monotone"].message
    assert found["rerun"].status == "pass"


def test_catches_accuracy_above_the_clean_one():
    critical, stage = evaluation()
    assert ask(critical, stage, runs={3: np.ones(200, bool)})["monotone"].status == "fail"


@pytest.mark.parametrize(("weaker", "status"), [(0, "pass"), (6, "warn"), (20, "fail")])
def test_catches_a_weaker_engine(weaker, status):
    critical, stage = evaluation()
    runs = {k: critical > k for k in range(1, LEVELS + 1)}
    runs[4][np.flatnonzero(runs[4])[:weaker]] = False
    found = ask(critical, stage, runs=runs)["rerun"]
    assert (found.status, found.value) == (status, weaker / 200)
    assert weaker == 0 or "strength 4" in found.message


def test_a_stronger_engine_passes():
    critical, stage = evaluation()
    runs = {k: critical > k - 1 for k in range(1, LEVELS + 1)}
    assert ask(critical, stage, runs=runs)["rerun"].status == "pass"


def test_independent_runs_may_have_fewer_samples():
    critical, stage = evaluation()
    rows = np.arange(0, 200, 4)
    found = ask(critical, stage, runs={4: critical[rows] > 4}, rows=rows)
    assert (found["rerun"].status, found["rerun"].value) == ("pass", 0.0)


@pytest.mark.parametrize(
    ("right", "status"), [(0.0, "warn"), (0.1, "warn"), (0.12, "warn"), (0.2, "pass")]
)
def test_catches_clean_accuracy_at_chance(right, status):
    critical = np.where(np.arange(200) < right * 200, LEVELS + 1, 0)
    stage = np.full(200, -1)
    assert ask(critical, stage, chance=0.1)["clean"].status == status


def test_the_message_has_the_probability_of_guessing_as_well():
    critical = np.where(np.arange(25) < 2, LEVELS + 1, 0)
    found = ask(critical, np.full(25, -1), chance=0.04)["clean"].message
    none_or_one = 0.96**25 + 25 * 0.04 * 0.96**24
    assert "4.0 %" in found
    assert f"probability {1 - none_or_one:.2g}:" in found


def test_another_order_of_the_classes_fails():
    labels = np.arange(200) % 10
    predicted = Predicted(labels, (labels + 1) % 10, [str(k) for k in range(10)])
    critical = np.zeros(200, int)
    found = ask(critical, np.full(200, -1), chance=0.1, predicted=predicted)["clean"]
    assert (found.status, found.value, found.limit) == ("fail", 0.0, 1.0)
    assert "shifted by one" in found.message


def test_few_images_are_named_as_the_reason():
    """Of a few images, the commonest class does not tell chance; more images do."""
    critical = np.where(np.arange(5) < 2, LEVELS + 1, 0)
    found = ask(critical, np.full(5, -1), chance=0.2)["clean"]
    assert found.status == "warn"
    assert "more images" in found.message


def test_always_predicting_the_largest_class_is_chance():
    labels = np.where(np.arange(200) < 120, 0, 1)
    critical = np.where(labels == 0, LEVELS + 1, 0)
    assert ask(critical, np.full(200, -1), chance=chance_of(labels))["clean"].status == "warn"


def test_checks_without_input_are_skipped():
    found = ask(*evaluation(), names=("apgd-ce", "apgd-t"))
    assert {v.status for v in found.values()} == {"skipped"}


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_values_are_fractions_and_the_status_follows_the_limit(n, seed):
    rng = np.random.default_rng(seed)
    critical = rng.integers(0, LEVELS + 2, n)
    found = (critical > 0) & (critical <= LEVELS)
    stage = np.where(found, rng.integers(0, 4, n), -1)
    before = np.minimum(critical + rng.integers(0, 2, n), LEVELS + 1)
    runs = {k: rng.random(n) < 0.5 for k in (1, 8)}
    for verdict in ask(
        critical, stage, before, rng.random(n) < 0.5, runs=runs, chance=0.2
    ).values():
        if verdict.value is None:
            continue
        assert -1 <= verdict.value <= 1
        if verdict.status in ("warn", "fail") and verdict.check != "clean":
            assert verdict.value > verdict.limit


def test_columns_of_wrong_length_are_refused():
    critical, stage = evaluation()
    with pytest.raises(InvalidArgument, match="stage"):
        ask(critical, stage[:-1])
    with pytest.raises(InvalidArgument, match="stage"):
        ask(critical, stage + 4)
    with pytest.raises(InvalidArgument, match=r"per_strength\[3\]"):
        ask(critical, stage, runs={3: np.ones(5, bool)})
    with pytest.raises(InvalidArgument, match="critical"):
        ask(critical + LEVELS, stage)


def test_pruned_runs_without_a_recheck_are_a_warning():
    some = np.arange(200) % 3 == 0
    found = ask(*evaluation(), names=("apgd-ce", "apgd-t"), pruned=some)
    assert found["pruning"].status == "warn"
    assert "exact" in found["pruning"].message
    nothing = ask(*evaluation(), names=("apgd-ce", "apgd-t"), pruned=some & False)
    assert nothing["pruning"].status == "skipped"
