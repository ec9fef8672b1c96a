"""RiFT: one layer changes, validation chooses, the test split stays closed, and it resumes."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from rampart.errors import RunError
from rampart.recipes import between
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.refining import preparing
from rampart.recipes.refining import refine as module
from rampart.recipes.refining.refine import Listener, refine_run
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.records.whole_folders import check_files
from rampart.reports.comparison import read_run
from rampart.reports.method_names import RunResult, name_methods
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.training import loop

#: Large enough a rate for the few steps to change the layer.
TINY = Refinement(images=5, steps=2, epochs=2, lr=0.05)
RUN = (
    *("training.epochs=1", "training.monitors=false", "schedule=fix"),
    *("evaluation.attack.steps=2", "evaluation.checks=false", "evaluation.split=validation"),
)


@pytest.fixture(scope="module", autouse=True)
def few_models():
    """Three models between the two in place of eleven."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FRACTIONS", (0.0, 0.5, 1.0))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_settings):
    path = tmp_path_factory.mktemp("refining") / "run"
    train_run(load_config(None, [*tiny_settings, *RUN]), path)
    return path


@pytest.fixture(scope="module")
def refined(run):
    """A refinement that could not open a test image, evaluated on the validation split."""
    splits = make_splits(load_config(RunFolder(run)))
    splits = replace(splits, test=replace(splits.test, pixels=closed))
    with pytest.raises(Closed):
        splits.test[0]
    folder, best = refine_run(run, run.with_name("refined"), TINY, splits=splits)
    evaluate_run(folder.path)
    return folder, best


class Closed(Exception):
    """The test split was opened."""


def closed(index):
    raise Closed


def weights(path):
    return load_file(path / "model" / "model.safetensors")


def test_only_the_least_critical_layer_changes(run, refined):
    folder, _ = refined
    facts = folder.facts()["refinement"]
    rows = facts["criticality"]
    assert facts["layer"] == min(rows, key=lambda row: row["increase"])["module"]
    assert all(row["increase"] >= 0 for row in rows)
    assert {row["module"] for row in rows} >= {"stem", "head", "blocks.1.shortcut.0"}
    end = load_file(next(folder.checkpoints.glob("*/model.safetensors")))
    before = {f"backbone.{name}": value for name, value in weights(run).items()}
    changed = {name for name, value in before.items() if not value.equal(end[name])}
    layer = [f"backbone.{facts['layer']}.{part}" for part in ("weight", "bias")]
    assert changed == {name for name in layer if name in before}, "nor BatchNorm's statistics"


def test_the_saved_model_is_the_chosen_mixture(run, refined):
    folder, best = refined
    before, after = weights(run), load_file(next(folder.checkpoints.glob("*/model.safetensors")))
    name = f"{folder.facts()['refinement']['layer']}.weight"
    mixed = torch.lerp(before[name], after[f"backbone.{name}"], best.fraction)
    torch.testing.assert_close(weights(folder.path)[name], mixed)
    record = read_run(folder.path).record
    assert record.metadata["split"] == "validation"
    assert record.metadata["run"]["refined"]["epochs"] == TINY.epochs, "for `rampart report`"
    assert float(record.accuracy[0]) == pytest.approx(best.clean)
    assert float(record.accuracy[-1]) == pytest.approx(best.adversarial)


def test_it_is_an_ordinary_run(refined, tmp_path):
    folder, best = refined
    facts = folder.facts()
    assert folder.status() == "complete"
    assert facts["parameters"]["trained"] < facts["parameters"]["all"] / 2
    assert facts["refinement"]["fraction"] == best.fraction
    assert [row["fraction"] for row in facts["refinement"]["validation"]] == [0.0, 0.5, 1.0]
    assert [(row["epoch"], row["eps"]) for row in History(folder.history).rows()] == [
        (1, 0.0),
        (2, 0.0),
    ]
    assert Passes.of([], facts).refinement > 3 * 9, "three models on nine images, at least"
    lines = (folder.refinement / "criticality.csv").read_text().splitlines()
    assert lines[0] == "rank,module,weights,increase,accuracy_drop"
    assert lines[1].split(",")[:2] == ["1", facts["refinement"]["layer"]]
    assert (folder.refinement / "criticality.png").read_bytes().startswith(b"\x89PNG")
    assert not check_files(folder.path).faults
    shutil.copytree(folder.path, tmp_path / "copy")
    (tmp_path / "copy" / "refinement" / "criticality.csv").write_text("rank\n")
    assert "criticality.csv" in "".join(check_files(tmp_path / "copy").faults)
    said = f"only the layer {facts['refinement']['layer']} was trained"
    assert said in folder.card.read_text()
    assert "rampart refine" in folder.page.read_text()


def test_the_learning_rate_falls_half_way(refined):
    rows = History(refined[0].history).rows()
    first, second = (row.get("lr_backbone", row.get("lr_head")) for row in rows)
    # The rate that a step used; the first epoch is the first half.
    assert (first, second) == (0.05, pytest.approx(0.005))


def test_a_comparison_takes_it_for_a_method_of_its_own(run, refined):
    one = read_run(refined[0].path)
    assert str(one.lacks) == ""
    assert one.history == [], "a refinement has no delay of adaptation"
    configs = (RunFolder(run).settings(), one.config)
    names = name_methods(
        [RunResult(one.name, {**own, "seed": seed}, {}) for own in configs for seed in (0, 1)]
    )
    assert len(set(names)) == 2
    assert names[2].endswith("refined=clean)")


def stop_at(number, function):
    """Return the function, which is interrupted at a call, counted from 1."""
    calls = []

    def stopping(*arguments, **options):
        calls.append(number)
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return stopping


#: The function that is interrupted, at which call, and how many of three models are left then.
STOPS = {
    "criticality": (module, "_note", 3, 3),
    "fine-tuning": (loop, "train_epoch", 2, 3),
    "models": (between, "_measure", 2, 2),
    "end": (module, "save_model", 1, 0),
}


@pytest.mark.parametrize("where", STOPS)
def test_it_resumes_exactly(run, refined, tmp_path, monkeypatch, where):
    place, name, number, left = STOPS[where]
    monkeypatch.setattr(module, "write_pages_of", lambda folder: None)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, stop_at(number, getattr(place, name)))
        with pytest.raises(KeyboardInterrupt):
            refine_run(run, tmp_path / "out", TINY)
    folder = RunFolder(tmp_path / "out")
    assert folder.status() == "interrupted"
    with pytest.raises(RunError, match="rampart refine .* --resume"):
        folder.require_finished()
    with pytest.raises(RunError, match="holds a refinement"):
        train_run(load_config(folder), folder.path, resume=True)
    measured = len(folder.facts()["refinement"].get("criticality", ()))
    assert measured > 0
    assert (measured < 7) == (where == "criticality")
    # Settings, layers and models that are known are not given again, nor their passes counted.
    again, heard, measure = [], [], between._measure
    monkeypatch.setattr(between, "_measure", lambda *args: again.append(args[1]) or measure(*args))
    refine_run(run, folder.path, resume=True, listener=Listener(on_found=heard.append))
    assert again == [0.0, 0.5, 1.0][3 - left :]
    assert [one.fraction for one in heard] == [0.0, 0.5, 1.0]
    assert folder.facts()["refinement"] == refined[0].facts()["refinement"]
    first, second = weights(folder.path), weights(refined[0].path)
    assert all(first[key].equal(second[key]) for key in second)


def test_a_finished_refinement_is_not_done_again(run, refined, monkeypatch):
    monkeypatch.setattr(module, "fine_tune", None)
    folder, best = refined
    assert refine_run(run, folder.path, resume=True)[1] == best


def test_a_refinement_is_resumed_as_it_was_started(run, refined, monkeypatch):
    folder, _ = refined
    with pytest.raises(RunError, match=r"other settings \(epochs 2 -> 3\)"):
        refine_run(run, folder.path, replace(TINY, epochs=3), resume=True)
    with pytest.raises(RunError, match="no refinement to resume"):
        refine_run(folder.path, run, resume=True)
    with pytest.raises(RunError, match=r"other settings \(lr 0.05 -> 0.5\)"):
        refine_run(run, folder.path, {"epochs": 2, "lr": 0.5}, resume=True)
    # The published ones were never given.
    refine_run(run, folder.path, {"epochs": 2}, resume=True)
    monkeypatch.setattr(preparing, "weights_fingerprint", lambda model: "of another")
    with pytest.raises(RunError, match="another model"):
        refine_run(run, folder.path, resume=True)


REFUSED = {
    "schedule": (["schedule=standard"], "not trained under an attack .schedule=standard"),
    "eps": (["threat.eps=0", "schedule=fix"], "not trained under an attack .threat.eps=0"),
    "objective": (["objective=standard"], "not trained under an attack .objective=standard"),
    "head": (["strategies=[linear-probe]"], "one layer with weights, 'head' .strategies="),
    "frozen backbone": (["optimizer.backbone_lr=0"], "'head' .optimizer.backbone_lr=0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_unsuited_run_is_refused_before_any_work(
    run, tmp_path, tiny_settings, monkeypatch, case
):
    changes, why = REFUSED[case]
    from rampart.recipes.config.loading import save_config

    copied = RunFolder(shutil.copytree(run, tmp_path / "run"))
    save_config(load_config(None, [*tiny_settings, *RUN, *changes]), copied.config)
    refuse(monkeypatch, copied.path, tmp_path / "out", why)


def refuse(monkeypatch, run, out, why):
    """Expect a refusal before anything is measured, trained or written."""
    for name in ("measure_layers", "fine_tune", "measure_between"):
        monkeypatch.setattr(module, name, None)
    with pytest.raises(RunError, match=why):
        refine_run(run, out, TINY)
    assert not out.exists()


def test_a_run_without_its_validation_split_is_refused(run, tmp_path, photo_folder, monkeypatch):
    from rampart.recipes.config.loading import save_config

    copied = RunFolder(shutil.copytree(run, tmp_path / "run"))
    shutil.copytree(photo_folder, tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos" / "validation")
    moved = load_config(RunFolder(run), [f"data.name={tmp_path / 'photos'}"])
    save_config(moved, copied.config)
    refuse(monkeypatch, copied.path, tmp_path / "out", "lacks the validation split")


def test_folders_that_cannot_be_used_are_refused(run, refined, tmp_path, monkeypatch):
    refuse(monkeypatch, tmp_path / "nothing", tmp_path / "out", "holds no run")
    with pytest.raises(RunError, match="is the run itself"):
        refine_run(run, run, TINY, overwrite=True)
    with pytest.raises(RunError, match="--resume continues its run, --overwrite replaces it"):
        refine_run(run, refined[0].path, TINY)


def test_the_listener_hears_everything(run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_pages_of", lambda folder: None)
    layers, models = [], []
    small = Refinement(images=3, steps=1, epochs=1, choose="expected")
    _, best = refine_run(
        run,
        tmp_path / "out",
        small,
        listener=Listener(layers.extend, models.append),
    )
    assert len(layers) == 7
    assert len(models) == 3
    assert best.expected == max(one.expected for one in models)


def test_models_of_other_weights_are_measured_again(run, refined, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_pages_of", lambda folder: None)
    folder = RunFolder(shutil.copytree(refined[0].path, tmp_path / "out"))
    facts = folder.facts()["refinement"]
    wrong = [{**row, "clean": 1.0} for row in facts["validation"]]
    other = {**facts, "validation": wrong, "tuned": "of others"}
    folder.set_status("interrupted", refinement=other)
    refine_run(run, folder.path, resume=True)
    assert folder.facts()["refinement"] == facts


def test_a_start_without_settings_is_not_resumed(run, tmp_path):
    folder = RunFolder(tmp_path / "out")
    folder.begin()
    with pytest.raises(RunError, match="leave out --resume"):
        refine_run(run, folder.path, resume=True)
