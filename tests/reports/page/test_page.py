"""The pages of evaluations and runs: structure, figures, escaping, size, and what verify says."""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from rampart.errors import RunError
from rampart.records.storage import load_record, save_record
from rampart.records.summary import summary
from rampart.records.whole_folders import check_files
from rampart.reports.measures import report as measure
from rampart.reports.named_records import find_records
from rampart.reports.page.content import DISTRIBUTIONS, confusions
from rampart.reports.page.curves import spell_reached, spell_strength
from rampart.reports.page.words import MEANINGS
from rampart.reports.page.write import LIMIT, write_report
from rampart.reports.percent import percent
from rampart.runs.run_folder import RunFolder
from report_folders import HOSTILE, evaluation, record, rewrite, rows, run

VOID = {"meta", "input", "br", "img", "rect", "line", "circle", "path", "link"}


class Outline(HTMLParser):
    """The elements of a page with their attributes, and the text outside of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def named(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page_of(folder, **options):
    return write_report([folder], **options).read_text(encoding="utf-8")


@pytest.fixture
def net(tmp_path):
    return run(tmp_path / "net")


def test_a_page_is_one_file_that_loads_nothing(net):
    text = page_of(net)
    outline = Outline(text)
    assert not outline.open
    assert len(text.encode()) < LIMIT
    policy = next(one["content"] for one in outline.named("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'")
    for tag, attribute in (("script", "src"), ("link", "href"), ("img", "src")):
        found = [one.get(attribute) for one in outline.named(tag)]
        assert all(one is None or one.startswith("data:") for one in found)
    assert len(outline.named("script")) == 5
    assert policy.count("'sha256-") == 4


def test_a_page_can_be_read_by_everyone(net):
    outline = Outline(page_of(net))
    assert outline.named("html")[0]["lang"] == "en"
    headings = [tag for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert headings.count("h1") == 1
    assert headings[0] == "h1"
    assert len(outline.named("table")) == len(outline.named("caption")) > 4
    titles = {one["id"] for _, one in outline.elements if "id" in one}
    for section in outline.named("section"):
        assert section["aria-labelledby"] in titles
    pictures = [one for one in outline.named("svg") if one.get("role") == "img"]
    assert len(pictures) == 2
    assert all(set(one["aria-labelledby"].split()) <= titles for one in pictures)
    links = [one["href"] for one in outline.named("a")]
    assert {link.removeprefix("#") for link in links} <= titles


def test_figures_are_those_of_the_text_report(net):
    outline = Outline(page_of(net))
    (one,) = find_records([net])
    facts = measure([one], list(DISTRIBUTIONS), per_class=True)["records"][0]
    for name in ("clean", "adversarial", "expected"):
        assert percent(facts[name]) in outline.text
    for figure in facts["figures"].values():
        assert percent(figure["value"]) in outline.text
    for point in facts["curve"]:
        assert percent(point["accuracy"]) in outline.text
    for row in facts["classes"]:
        assert f"{row['class']} {row['n']}" in outline.text
    assert "180 passes" not in outline.text
    assert "4 epochs, 760 passes, 8 s" in outline.text
    assert "rampart train" in outline.text


def test_the_cost_names_what_came_before_the_first_step(net):
    facts = {"guidance": {"forwards": 24}, "linear_probe": {"forwards": 20, "backwards": 3}}
    RunFolder(net).set_status("complete", **facts)
    text = Outline(page_of(net)).text
    assert "linear probe 23 passes guidance 24 passes" in text
    assert "label check" not in text


def test_the_charts_hold_the_curve_and_the_history(net):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page_of(net))
    data = json.loads(found.group(1))
    (one,) = find_records([net])
    drawn = data["charts"]["curve"]["datasets"]["points"]
    accuracies = [row["y"] for row in drawn if row["kind"] == "line"]
    assert accuracies == [100 * point["accuracy"] for point in summary(one.record)["curve"]]
    steps = [row for row in drawn if row["series"].startswith("bounds")]
    assert [row["low"] for row in steps[::2]] == accuracies[1:]
    assert [row["high"] for row in steps[::2]] == accuracies[:-1]
    history = data["charts"]["history"]["datasets"]["points"]
    assert [row["y"] for row in history if row["series"] == "clean accuracy"] == [60, 70, 80, 90]
    assert sum(data["expectation"]["counts"]) == len(one.record)


def test_names_and_messages_are_escaped(tmp_path):
    classes = (HOSTILE, f"{HOSTILE}2", "fox")
    history = [{**row, "alerts": [{"code": "x", "message": HOSTILE}]} for row in rows()]
    folder = run(tmp_path / "net", history=history, classes=classes, split=HOSTILE)
    outline = Outline(page_of(folder))
    assert not outline.open
    assert len(outline.named("script")) == 5
    assert not [one for one in outline.named("img") if not one["src"].startswith("data:")]
    assert not any(name.startswith("on") for _, one in outline.elements for name in one)
    assert " ".join(HOSTILE.split()) in outline.text
    assert "7*7" in outline.text


@pytest.mark.parametrize("code", ["suboptimal-transfer", "fell-behind"])
def test_the_verdict_says_what_the_checks_mean_and_whether_it_transferred(tmp_path, code):
    good = Outline(page_of(run(tmp_path / "good")))
    assert "Yes, without a sign of suboptimal transfer" in good.text
    assert "1 of 2 checks passed" in good.text
    assert "Warn fab:" in good.text
    alert = {"code": code, "message": "the attack slows adaptation."}
    late = [{**row, "alerts": [alert]} for row in rows()[:1]] + rows()[1:]
    slow = Outline(page_of(run(tmp_path / "slow", history=late)))
    assert "Yes, with a delay" in slow.text
    stuck = Outline(page_of(run(tmp_path / "stuck", stuck=True)))
    assert "It did not learn the task" in stuck.text


def test_a_run_without_an_evaluation_says_what_to_do(tmp_path):
    outline = Outline(page_of(run(tmp_path / "new", evaluated=False)))
    assert f"rampart evaluate {tmp_path / 'new'}" in outline.text
    assert "Training" in outline.text


def test_verify_notices_an_edited_page_and_one_that_is_older_than_its_record(net):
    page = write_report([net])
    inside = write_report([net / "evaluations/own"])
    assert {page, inside} <= set(check_files(net).matching)
    rewrite(page, "Can the numbers be trusted?", "The numbers can be trusted.")
    assert any("was changed" in fault and "--html" in fault for fault in check_files(net).faults)
    write_report([net])
    assert not check_files(net).faults
    evaluation(net / "evaluations/own", name="net", seed=1, **_of_run(net))
    faults = check_files(net).faults
    assert len([fault for fault in faults if "shows another" in fault]) == 2


def _of_run(folder):
    known = load_record(folder / "evaluations/own").metadata
    return {key: known[key] for key in ("run", "run_folder", "settings")}


def test_a_file_of_others_is_not_replaced(net, tmp_path):
    other = tmp_path / "mine.html"
    other.write_text("<p>my notes")
    with pytest.raises(RunError, match="mine.html"):
        write_report([net], other)
    assert other.read_text() == "<p>my notes"
    write_report([net], tmp_path / "page.html")
    assert write_report([net], tmp_path / "page.html").is_file()


def test_pages_of_corruptions_and_of_bare_records_are_written(tmp_path):
    bare = replace(record(), metadata={})
    save_record(bare, tmp_path / "bare")
    critical = bare.critical
    wrong = np.array([63 >> one << one if one < 6 else 0 for one in critical.tolist()])
    severities = {"norm": "fog", "grid": np.arange(6.0), "wrong_at": wrong}
    fog = replace(bare, **severities, critical=critical, attacked_predictions=None)
    save_record(fog, tmp_path / "fog")
    assert "checks did not run" in Outline(page_of(tmp_path / "bare")).text
    outline = Outline(page_of(tmp_path / "fog"))
    assert "severity 5" in outline.text
    assert not outline.named("form")


def test_every_check_has_its_question():
    text = (Path(__file__).parents[3] / "docs/evaluation/checks.md").read_text(encoding="utf-8")
    table = text.partition("| check | question |")[2].partition("\n\n")[0]
    names = [re.findall("`([a-z-]+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    assert {name for row in names for name in row} == set(MEANINGS)


def test_statements_for_auditors_name_data_adversary_uncertainty_and_limits(net):
    text = Outline(page_of(net)).text.partition("Statements for auditors")[2]
    (one,) = find_records([net])
    facts = summary(one.record)
    for name in ("clean", "adversarial", "expected"):
        assert f"{percent(facts[name])} [" in text
    for words in ("60 images of 3 classes, the test split of photos", "under linf", "eps = 4/255"):
        assert words in text
    for words in ("apgd-ce", "95 % confidence intervals", "upper bound", "warn: fab"):
        assert words in text
    assert "assess no conformity" in text


def test_brittle_classes_name_what_they_are_mistaken_for(net, tmp_path):
    found = load_record(net / "evaluations" / "own")
    for predictions in (found.predictions, found.attacked_predictions):
        wrong = predictions != found.labels
        counts = Counter(zip(found.labels[wrong].tolist(), predictions[wrong], strict=True))
        table = confusions(found, predictions)
        assert sum(counts.values()) == sum(sum(own.values()) for own in table.values())
        for (label, other), count in counts.items():
            assert table[label][found.metadata["model"]["classes"][other]] == count
    # Every image that is wrong at the largest strength is counted.
    assert wrong.sum() == (found.critical < len(found.grid)).sum()
    spelled = "Mistaken for under attack"
    assert spelled in Outline(page_of(net)).text
    old = replace(found, attacked_predictions=None)
    save_record(old, tmp_path / "old")
    assert load_record(tmp_path / "old").attacked_predictions is None
    text = Outline(page_of(tmp_path / "old")).text
    assert spelled not in text
    assert "does not hold the classes that are predicted under attack" in text


def test_a_page_of_many_classes_stays_small(tmp_path):
    classes = tuple(f"class number {k}" for k in range(700))
    page = page_of(evaluation(tmp_path / "many", classes=classes, n=1400))
    assert len(page.encode()) < LIMIT
    assert page.count('<th scope="row">class number') == 500
    assert "200 classes with a higher expected robustness" in page


@pytest.mark.parametrize(
    ("eps", "norm", "like", "text"),
    [
        (1 / 1020, "linf", 2 / 255, "eps = 0.25/255"),
        (4 / 255, "linf", 20 / 255, "eps = 4/255"),
        (0.25, "l2", 1.0, "eps = 0.25"),
        (3, "fog", 5, "severity 3"),
    ],
)
def test_a_strength_is_spelled_in_the_unit_of_the_largest(eps, norm, like, text):
    assert spell_strength(eps, norm, like) == text


def test_a_strength_on_the_ramp_is_spelled_in_the_unit_of_its_target():
    assert spell_reached({"eps": 0.5 / 255, "alpha": 0.125}) == "0.5/255"
    assert spell_reached({"eps": 0.5, "alpha": 0.5}) == "0.5"
    assert spell_reached({"eps": 0.0, "alpha": 0.0}) == "0"
