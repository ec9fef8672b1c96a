import re

import numpy as np
import pytest
from made_up import FIX, STANDARD, TWO_HINGE, record, run

from rampart.records.summary import summary
from rampart.reports.findings import findings
from rampart.reports.tables import comparison_rows


def findings_of(*runs) -> str:
    return findings(comparison_rows(runs))


def test_names_the_gains_of_the_method(three):
    text = findings_of(*three)
    assert "RFT-fix ends 65 points below standard fine-tuning in clean accuracy" in text
    assert "(30 % against 95 %), and exceeds 5 % on the validation split only in epoch 3." in text
    assert "clean accuracy is 1 point higher under two-hinge (96 %)" in text
    assert "Two-hinge has the highest expected robustness over 0 to 4/255 (77 %, 57 points" in text
    assert "above RFT-fix), and the highest accuracy at 4/255 (50 %)." in text
    assert "has one run" in text
    assert "chance" not in text


def test_names_a_loss_of_the_method():
    easy = (0.74, 0.6, 0.45, 0.3, 0.2)
    text = findings_of(run("fix", easy), run("two-hinge", (0.82, 0.5, 0.3, 0.15, 0.08)))
    assert "o schedule wins in expected robustness here: RFT-fix has the highest" in text
    assert "points above two-hinge" in text


def test_names_another_method_that_is_best_at_full_strength():
    text = findings_of(run("two-hinge", TWO_HINGE), run("linear", (0.9, 0.8, 0.7, 0.6, 0.55)))
    assert "at 4/255 linear is highest (55 %)" in text


def test_a_lead_within_the_intervals_may_be_chance():
    text = findings_of(run("two-hinge", TWO_HINGE), run("linear", (0.96, 0.9, 0.8, 0.64, 0.49)))
    assert "may be chance (the two intervals overlap)" in text


HIGH, LOW = (0.9, 0.5, 0.1), (0.8, 0.35, 0.0)


def test_a_lead_that_rests_on_straight_lines_is_undecided_by_the_grid():
    text = findings_of(run("two-hinge", HIGH), run("fix", LOW))
    assert "By straight lines between the strengths, two-hinge has the highest" in text
    assert "Its lead of 12 points over RFT-fix is undecided by the grid" in text
    assert "by evaluation.resolution" in text


def between(curve, parts=20):
    """The same curve measured at more strengths, each step of the grid divided into parts."""
    strengths = np.arange(len(curve) * parts - parts + 1) / parts
    return [float(value) for value in np.interp(strengths, np.arange(len(curve)), curve)]


def test_a_finer_grid_decides_the_same_lead():
    text = findings_of(run("two-hinge", between(HIGH)), run("fix", between(LOW)))
    assert "two-hinge has the highest expected robustness" in text.lower()
    assert "undecided" not in text
    assert "straight lines" not in text


def test_seeds_are_undecided_by_the_grid_too():
    def seeds(schedule, curve):
        return [run(schedule, [v - 0.01 * k for v in curve], k) for k in range(3)]

    low = (0.8, 0.35, 0.02)
    coarse = findings_of(*seeds("two-hinge", HIGH), *seeds("fix", low))
    assert "RFT-fix is undecided by the grid" in coarse
    fine = findings_of(*seeds("two-hinge", between(HIGH)), *seeds("fix", between(low)))
    assert "undecided" not in fine


def test_a_lead_over_a_further_rival_is_qualified():
    text = findings_of(
        run("two-hinge", HIGH), run("linear", (0.88, 0.49, 0.1)), run("fix", (0.8, 0.35, 0.0))
    )
    assert "points above RFT-fix, undecided by the grid" in text


def test_two_seeds_decide_no_lead():
    ours, theirs = ([run(*one, k) for k in (0, 1)] for one in (("fix", FIX), ("auto", TWO_HINGE)))
    assert "may be chance (too few seeds for an interval)" in findings_of(*ours, *theirs)


def test_seeds_are_compared_in_pairs():
    def curve(shift: float) -> list[float]:
        return [value - shift for value in TWO_HINGE]

    shifts = (0.0, 0.1, 0.2)
    rival = [run("linear", curve(s + 0.01 + 0.001 * k), k) for k, s in enumerate(shifts)]
    clear = findings_of(*(run("two-hinge", curve(s), k) for k, s in enumerate(shifts)), *rival)
    assert "chance" not in clear
    assert "has one run" not in clear
    mixed = [0.05, 0.1, 0.14]
    unclear = findings_of(*(run("two-hinge", curve(s), k) for k, s in enumerate(mixed)), *rival)
    assert "may be chance (p = " in unclear
    assert "3 paired seeds" in unclear


def test_a_run_that_never_adapts():
    text = findings_of(run("standard", STANDARD), run("fix", FIX, clean=(0.01, 0.02)))
    assert "and never exceeds 5 % on the validation split" in text


def test_equal_to_standard():
    text = findings_of(run("standard", STANDARD), run("fix", STANDARD), run("two-hinge", STANDARD))
    assert "RFT-fix ends within half a point of standard fine-tuning" in text
    assert "clean accuracy is equal under two-hinge" in text


def test_one_run_is_described_alone():
    assert findings_of(run("fix", FIX)) == (
        "RFT-fix: 30 % clean, 10 % at 4/255, 20 % expected robustness."
    )


def test_other_threats_are_not_ranked():
    first = run("fix", FIX)
    other = first._replace(name="b", summary=summary(record(FIX, "l2", 0.5)))
    assert findings_of(first, other).endswith("different threats: no ranking.")


def test_other_data_or_attacks_are_not_ranked():
    first = run("fix", FIX)
    for key, value, word in (
        ("n", 6, "data"),
        ("data", {"fingerprint": "b"}, "data"),
        ("attack_options", {"name": "apgd", "steps": 1}, "attacks"),
    ):
        other = first._replace(name="b", summary={**first.summary, key: value})
        assert findings_of(first, other).endswith(f"different {word}: no ranking.")
        assert "no ranking" not in findings_of(first, first._replace(name="b"))


def test_no_rows():
    assert findings([]) == "There is nothing to compare."


@pytest.mark.parametrize("alive", [(1.0,) * 5, (0.0,) * 5])
def test_extremes_are_described_too(alive):
    assert "expected robustness" in findings_of(run("two-hinge", alive), run("fix", FIX))


def test_a_delay_that_guessing_hides_is_not_reported(three):
    few = [one._replace(summary={**one.summary, "num_classes": 3}) for one in three]
    rows = comparison_rows(few)
    assert {(row["delay"], row["adapted"]) for row in rows} == {(None, None)}
    text = findings(rows)
    assert "delay cannot be measured: with 3 classes" in text
    assert "only in epoch" not in text


@pytest.mark.parametrize("gap", [0.004, 0.011, 0.035, 0.3])
def test_a_lead_is_spelled_the_same_in_every_sentence(gap):
    rival = [value - gap for value in (0.6, 0.55, 0.5, 0.45, 0.4)]
    text = findings_of(run("fix", (0.6, 0.55, 0.5, 0.45, 0.4)), run("two-hinge", rival))
    leads = set(re.findall(r"([\d.]+ points?) (?:above|over)", text))
    assert len(leads) <= 1, text
