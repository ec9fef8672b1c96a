"""The trackers of a run get its evaluations, by the methods that they have."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rampart.errors import RampartWarning
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation import tracking
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.records.record import EvaluationRecord
from rampart.runs.evaluation_folder import EvaluationFolder


@pytest.fixture
def evaluated(run):
    """The folder of an evaluation of the run, its record, and a subject with a tracker."""
    path, record = evaluate_run(run.path)
    folder = EvaluationFolder(path)
    folder.gallery.mkdir(exist_ok=True)
    for kind in ("image", "difference", "adversarial"):
        Image.new("RGB", (16, 16)).save(folder.gallery / f"0-{kind}.png")
    config = load_config(run, ["training.trackers=[tensorboard]"])
    return SimpleNamespace(run=run, config=config), record, folder


class Tracker:
    """Records its calls; with the methods of accelerate's trackers that are asked for."""

    def __init__(self, name, *methods):
        self.name, self.calls = name, []
        for method in methods:
            setattr(
                self, method, lambda *given, m=method, **more: self.calls.append((m, given, more))
            )


def test_a_tracker_of_texts_gets_the_curve_as_a_table(evaluated):
    _, record, folder = evaluated
    tracker = Tracker("tensorboard", "log", "log_images")
    tracking._log(tracker, "evaluation/x", record, folder, 7)
    (_, (figures,), _), (_, (table,), _), (kind, (pictures,), options) = tracker.calls
    assert figures["evaluation/x/clean"] == record.accuracy[0]
    assert all(call[2]["step"] == 7 for call in tracker.calls)
    lines = table["evaluation/x/curve"].splitlines()
    assert lines[0] == "| eps | accuracy | low | high |"
    assert len(lines) == 2 + len(record.grid)
    assert f"| 0 | {record.accuracy[0]:.4f} |" in lines[2]
    assert (kind, options["dataformats"]) == ("log_images", "NHWC")
    plot, examples = pictures.values()
    assert plot.ndim == examples.ndim == 4
    assert examples.shape[2] == 3 * examples.shape[1], "image, difference and adversarial image"


def test_a_tracker_of_tables_gets_columns_and_rows(evaluated):
    _, record, folder = evaluated
    tracker = Tracker("wandb", "log", "log_table", "log_images")
    tracking._log(tracker, "evaluation/x", record, folder, 7)
    by_method = {method: (given, more) for method, given, more in tracker.calls}
    (name,), table = by_method["log_table"]
    assert (name, table["columns"]) == ("evaluation/x/curve", ["eps", "accuracy", "low", "high"])
    assert [row[1] for row in table["data"]] == record.accuracy.tolist()
    (pictures,), _ = by_method["log_images"]
    assert all(isinstance(some, list) for some in pictures.values())
    assert all(one.dtype == np.uint8 for some in pictures.values() for one in some)


def test_tensorboard_has_the_curve_and_the_pictures(evaluated):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    subject, record, folder = evaluated
    tracking.track_evaluation(subject, record, folder)
    assert isinstance(record, EvaluationRecord)
    found = accumulator.EventAccumulator(str(subject.run.tracking / "rampart"))
    found.Reload()
    tags, name = found.Tags(), f"evaluation/{folder.path.name}"
    assert f"{name}/curve/text_summary" in tags["tensors"]
    assert f"{name}/expected" in tags["scalars"]
    assert any(tag.startswith(f"{name}/plot") for tag in tags["images"])


def test_a_tracker_that_fails_is_warned_of(evaluated, monkeypatch):
    def fail(*arguments):
        raise ConnectionError("no network")

    monkeypatch.setattr(tracking, "make_accelerator", fail)
    with pytest.warns(RampartWarning, match="trackers did not take the evaluation.*no network"):
        tracking.track_evaluation(*evaluated)


def test_without_trackers_nothing_is_logged(evaluated, monkeypatch):
    subject, record, folder = evaluated
    monkeypatch.setattr(tracking, "make_accelerator", None)
    subject.config = load_config(subject.run)
    tracking.track_evaluation(subject, record, folder)
