"""The model card of a run, from made-up folders."""

import json

import pytest
import yaml
from huggingface_hub import ModelCard

from rampart.errors import RunError
from rampart.files import write_atomic
from rampart.records.summary import summary
from rampart.reports.card.markdown import escape
from rampart.reports.card.metadata import Origin
from rampart.reports.card.write import Place, card_text
from rampart.runs.report_page import require_page, write_page
from rampart.runs.run_folder import RunFolder
from report_folders import HOSTILE, evaluation, record, run

CLASSES = ("cat", "dog", "fox")


def finished(folder, described=None, **options):
    """A finished run whose model is described."""
    place = RunFolder(run(folder, **options))
    names = list(options.get("classes", CLASSES))
    own = {
        "architecture": "resnet18",
        "label_names": names,
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    }
    (place.model / "config.json").write_text(json.dumps(described or own))
    return place


def card_of(place, origin=None, where=None):
    return card_text(place, origin or Origin(), where or Place())


def test_the_metadata_hold_the_figures_with_their_data_and_attack(tmp_path):
    place = finished(tmp_path / "net")
    data = ModelCard(card_of(place, Origin("timm/resnet18", license="mit"))).data
    assert data.license == "mit"
    assert data.base_model == "timm/resnet18"
    assert (data.library_name, data.pipeline_tag) == ("timm", "image-classification")
    found, figures = data.eval_results, summary(record())
    assert [one.metric_value for one in found] == pytest.approx(
        [figures[name] for name in ("clean", "adversarial", "expected")], abs=1e-6
    )
    assert {(one.dataset_name, one.dataset_split) for one in found} == {("photos", "test")}
    assert "attack" not in found[0].metric_args
    for one in found[1:]:
        assert one.metric_args["attack"] == {"name": "apgd", "steps": 10}
        assert (one.metric_args["norm"], one.metric_args["eps"]) == ("linf", "4/255")
        assert one.metric_args["low"] < one.metric_value < one.metric_args["high"]


def test_the_card_shows_figures_recipe_limits_and_how_to_load_it(tmp_path):
    place = finished(tmp_path / "net")
    (place.evaluations / "own" / "curve.png").write_bytes(b"")
    text = card_of(place, Origin(defined_in="mine"), Place("hf-hub:me/net"))
    figures = summary(record())
    for name in ("clean", "adversarial", "expected"):
        value, low, high = (100 * figures[key] for key in (name, f"{name}_low", f"{name}_high"))
        assert f"| {value:.1f} % | {low:.1f} to {high:.1f} |" in text
    assert "](evaluations/own/curve.png)" in text
    assert 'timm.create_model("hf-hub:me/net"' in text
    assert "import mine  # defines" in text
    assert "rampart report evaluations/own" in text
    assert "| schedule of eps | two-hinge |" in text
    assert "| BatchNorm | frozen |" in text
    assert "upper bound" in text
    assert "states no license" in text


def test_a_run_without_an_evaluation_says_so(tmp_path):
    card = ModelCard(card_of(finished(tmp_path / "net", evaluated=False)))
    assert card.data.eval_results is None
    assert "**Not evaluated.**" in card.text
    assert "## Evaluation" not in card.text


def test_the_evaluation_of_the_runs_own_settings_comes_first(tmp_path):
    place = finished(tmp_path / "net")
    facts = {"run": place.settings(), "run_folder": "net", "settings": {"threat": {"eps": 1}}}
    evaluation(place.evaluations / "a-stronger", name="net", seed=3, **facts)
    card = ModelCard(card_of(place))
    values = [one.metric_value for one in card.data.eval_results]
    assert len(values) == 6
    assert values[0] == pytest.approx(summary(record())["clean"], abs=1e-6)
    others = card.text.partition("Other evaluations")[2]
    assert f"{100 * summary(record(seed=3))['clean']:.1f} %" in others
    assert "rampart report evaluations/a-stronger" in others


def test_a_module_of_the_user_is_named_and_not_called_a_model_of_timm(tmp_path):
    described = {"module": "mine.Net", "label_names": list(CLASSES), "input_size": [1, 8, 8]}
    card = ModelCard(card_of(finished(tmp_path / "net", described), Origin(module="mine.Net")))
    assert card.data.library_name is None
    assert "timm" not in card.data.tags
    assert "load_own" in card.text
    assert "timm.create_model" not in card.text


def test_hostile_names_stay_text(tmp_path):
    classes = (HOSTILE, "a|b", "![x](y)")
    place = finished(tmp_path / "net", classes=classes, data={"name": HOSTILE})
    text = card_of(place)
    body = text.partition("-->")[2]
    assert "<script>" not in body
    assert "<img" not in body
    assert "a\\|b" in body
    assert "!\\[x\\](y)" in body
    assert yaml.safe_load(text.split("---\n")[1])["model-index"]


def test_text_is_escaped_where_markdown_would_read_it():
    assert escape("resnet50.a1_in1k") == "resnet50.a1_in1k"
    assert escape("_a_ b\n# c") == "\\_a\\_ b # c"
    assert escape("`x` <b> & [y]") == "\\`x\\` &lt;b&gt; &amp; \\[y\\]"


def test_a_changed_card_and_one_of_another_record_are_noticed(tmp_path):
    place = finished(tmp_path / "net")
    write_page(place.card, card_of(place, where=Place(above="../")))
    require_page(place.card, "do")
    text = place.card.read_text(encoding="utf-8")
    write_atomic(place.card, text.replace("fine-tuned", "tuned"))
    with pytest.raises(RunError, match=r"README\.md.*checksum.*do\."):
        require_page(place.card, "do")
    write_atomic(place.card, text)
    evaluation(place.evaluations / "own", seed=5)
    with pytest.raises(RunError, match=r"record\.json"):
        require_page(place.card, "do")
