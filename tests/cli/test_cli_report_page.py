"""`rampart report --html` and `rampart gate` as commands."""

import json

import pytest

from report_folders import evaluation, run


def test_pages_of_one_folder_and_of_several(rampart, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, other = run(tmp_path / "net"), evaluation(tmp_path / "other", name="other", seed=1)
    assert rampart("report", net, "--html").status == 0
    assert (net / "report.html").is_file()
    assert "both.html" in rampart("report", net, other, "--html", "-o", "both.html").out
    assert "Paired differences" in (tmp_path / "both.html").read_text(encoding="utf-8")
    refused("--html", "report", net, "-o", "a.html")
    refused("ends in .html", "report", net, "--html", "-o", "a.pdf")
    refused("--json", "report", net, "--html", "--json")


@pytest.mark.parametrize(("limit", "status"), [(">=0.1", 0), (">=0.99", 1)])
def test_the_gate_decides_by_its_exit_status(typed, tmp_path, limit, status):
    folder = evaluation(tmp_path / "a b", name="net")
    asked = ("--expected", limit, "--at", "1/255", ">=0.1", "--at", "4/255", ">=0.01")
    found = typed("gate", folder, *asked)
    assert found.status == status
    assert f"gate: {'failed' if status else 'passed'}" in found.out
    found = typed("gate", folder, *asked, "--json", "--sarif", tmp_path / "log.sarif")
    assert found.status == status
    facts = json.loads(found.out)
    assert facts["passed"] is (status == 0)
    assert [one["rule"] for one in facts["conditions"]] == ["expected", "at", "at", "checks"]
    log = json.loads((tmp_path / "log.sarif").read_text(encoding="utf-8"))
    assert len(log["runs"][0]["results"]) == 4


def test_the_gate_refuses_what_it_cannot_decide(refused, tmp_path):
    folder = evaluation(tmp_path / "net")
    refused("--expected, --at or --clean", "gate", folder)
    refused("up to 4/255", "gate", folder, "--at", "8/255", ">=0.1")
    refused("lower limit", "gate", folder, "--expected", "<=0.1")
    refused("holds no finished evaluation", "gate", tmp_path, "--expected", ">=0")
    refused("a limit behind each", "gate", folder, "--at", "1/255")
    refused("one folder", "gate", folder, tmp_path, "--expected", ">=0")
