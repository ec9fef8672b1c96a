"""Decisions of the gate: lower ends, checks, strengths between those of the grid, errors."""

import json

import numpy as np
import pytest
from made_up import record

from rampart.errors import InvalidArgument
from rampart.records.summary import summary
from rampart.reports.gate import decide, parse_threshold
from rampart.reports.named_records import Measured
from rampart.reports.sarif import sarif

ALIVE = (0.9, 0.7, 0.5, 0.4, 0.3)


def measured(checks="pass", unfinished="", **metadata):
    one = record(ALIVE)
    verdicts = [{"check": "slope", "status": checks, "message": "bad gradients."}]
    added = {"checks": {"overall": checks, "verdicts": verdicts}} if checks else {}
    metadata = {**one.metadata, **added, **metadata}
    object.__setattr__(one, "metadata", metadata)
    return Measured("net", one, unfinished=unfinished)


def rules(decision):
    return {one.rule: one.met for one in decision.conditions}


def test_the_lower_end_decides_and_not_the_value():
    facts = summary(measured().record)
    low, value = facts["expected_low"], facts["expected"]
    assert low < value
    assert decide(measured(), f">={low!r}").passed
    assert not decide(measured(), f">{low!r}").passed
    assert not decide(measured(), f">={(low + value) / 2}").passed
    low = facts["adversarial_low"]
    assert decide(measured(), at=[("4/255", f">={low!r}")]).passed
    assert not decide(measured(), at=[("4/255", f">={low + 1e-6}")]).passed
    assert decide(measured(), clean=f">={facts['clean_low']!r}").passed


def test_every_condition_must_be_met():
    found = decide(measured(), ">=0.01", at=[("1/255", ">=0.01"), ("4/255", ">=0.9")])
    assert [one.met for one in found.conditions] == [True, True, False, True]
    assert not found.passed
    assert "1 of 4 conditions not met" in found.verdict


def test_between_two_strengths_the_next_one_counts():
    (one, _) = decide(measured(), at=[("1.5/255", ">=0.1")]).conditions
    assert one.value == 0.5
    assert "measured at 2/255" in one.name


@pytest.mark.parametrize("status", ["fail", None])
def test_checks_that_failed_or_did_not_run_refuse_to_pass(status):
    found = decide(measured(status), ">=0")
    assert rules(found) == {"expected": True, "checks": False}
    assert not found.passed


def test_a_warning_passes_and_an_unfinished_run_does_not():
    assert decide(measured("warn"), ">=0").passed
    assert not decide(measured(unfinished="failed, 3 of 50 epochs"), ">=0").passed


def test_another_distribution_has_its_own_figure():
    uniform, weak = (
        decide(measured(), ">=0", distribution=law).conditions[0].value
        for law in (None, "beta:a=1,b=9")
    )
    assert weak > uniform


@pytest.mark.parametrize("text", ["0.4", "<=0.4", ">=1.4", ">=-0.1", ">=nan", ">=1e", "", ">=200%"])
def test_limits_are_lower_limits_within_0_and_1(text):
    with pytest.raises(InvalidArgument, match="expected"):
        parse_threshold(text, "expected")


def test_percent_needs_its_sign():
    assert parse_threshold(">= 40 %", "clean").value == 0.4
    with pytest.raises(InvalidArgument, match=">=40%"):
        parse_threshold(">=40", "clean")


@pytest.mark.parametrize(
    "wrong", [{}, {"at": [("5/255", ">=0")]}, {"at": [("4", ">=0")]}, {"distribution": "uniform"}]
)
def test_what_a_record_cannot_decide_is_an_error(wrong):
    with pytest.raises(InvalidArgument):
        decide(measured(), **wrong)


def test_sarif_has_one_result_for_each_condition(tmp_path):
    found = decide(measured("fail"), ">=0.01", at=[("4/255", ">=0.9")])
    log = json.loads(json.dumps(sarif(found, tmp_path / "a b:c")))
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    kinds = [(result["ruleId"], result["kind"], result["level"]) for result in one["results"]]
    failed = ("fail", "error")
    assert kinds == [("expected", "pass", "none"), ("at", *failed), ("checks", *failed)]
    names = [rule["id"] for rule in one["tool"]["driver"]["rules"]]
    for result in one["results"]:
        assert names[result["ruleIndex"]] == result["ruleId"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("a%20b%3Ac")
    assert np.isfinite(one["results"][0]["properties"]["low"])
