import json

import pytest

from rampart.evaluation.checks.verdict import Verdict, explain, overall

GOOD = Verdict("batch", "pass", 0.0, 1e-3, "fine.")
BAD = Verdict("logits", "fail", 1.0, 0.0, "NaN.")
ODD = Verdict("pixels", "warn", 0.5, 0.1, "too dark.")
NONE = Verdict("fab", "skipped", None, None, "no FAB.")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([GOOD], "pass"),
        ([GOOD, NONE], "pass"),
        ([GOOD, ODD], "warn"),
        ([ODD, BAD, GOOD], "fail"),
        ([NONE], "warn"),
        ([], "warn"),
    ],
)
def test_the_worst_verdict_counts_and_all_skipped_is_a_warning(verdicts, expected):
    assert overall(verdicts) == expected


def test_explanations_start_with_the_worst():
    assert explain([ODD, GOOD, BAD, NONE]) == [
        "fail logits: NaN.",
        "warn pixels: too dark.",
        "1 of 3 checks passed; skipped: fab.",
    ]
    assert explain(v for v in [GOOD]) == ["1 of 1 checks passed."]


def test_a_verdict_is_plain_json():
    text = json.dumps(NONE.as_dict(), allow_nan=False)
    assert Verdict(**json.loads(text)) == NONE
