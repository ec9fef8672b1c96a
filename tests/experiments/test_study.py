"""Studies: the file, the runs, the choices on validation, and failures."""

import csv
import json
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import yaml

from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.experiments.engines.processes import Processes
from rampart.experiments.loading import load_study
from rampart.experiments.planning.plan import plan_study
from rampart.experiments.running import SilentWatcher, run_study
from rampart.experiments.study_cells import chosen_cells, option_cells, planned_runs
from rampart.experiments.study_table import LEGEND, draw_study, write_table
from rampart.plugins import import_parts
from rampart.recipes.evaluation import evaluate_named
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.records.storage import load_record
from rampart.runs.run_folder import RunFolder

TASKS = ["photos at 2/255"]
#: The settings of the evaluations, and others that change no result.
OTHER_EVALUATION = {"attack": {"steps": 1}, "limit": 12, "batch_size": 5, "checks": False}


@pytest.fixture(scope="module")
def tree(photo_folder):
    """A study of two methods and a choice, whose runs take a second each."""
    return {
        "base": {
            "model": {
                "name": "rampart_glyphnet",
                "pretrained": False,
                "options": {"norm": "batch", "in_chans": 3},
            },
            "data": {"image_size": 16},
            "attack": {"steps": 1},
            "optimizer": {"backbone_lr": 1e-3},
            "training": {"epochs": 1, "batch_size": 8},
            # More than the 9 validation images, which decide the choices.
            "evaluation": {"checks": False, "attack": {"steps": 1}, "limit": 12},
        },
        "seeds": [0, 1],
        "axes": {"task": {"photos at 2/255": [f"data.name={photo_folder}", "threat.eps=2/255"]}},
        "methods": {"fix": ["schedule=fix"], "standard": ["schedule=standard"]},
        "choices": {
            # Not a valid file name.
            "tuned fix/2": {
                "method": "fix",
                "seeds": [7],
                "among": {
                    "idle": ["optimizer.backbone_lr=1e-9", "optimizer.head_lr=1e-9"],
                    "awake": ["optimizer.backbone_lr=3e-3", "optimizer.head_lr=3e-2"],
                },
            }
        },
        "references": ["fix"],
    }


def written(tree, folder):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def run_of(out, method, seed):
    """The folder of a run of the only task."""
    (file,) = (out / "runs" / "photos_at_2_255" / method).glob(f"seed-{seed}-*/config.yaml")
    return file.parent


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def finished(tree, out):
    study, watched = load_study(written(tree, out)), RecordingWatcher()
    result = run_study(study, out, watcher=watched)
    assert not result.failures
    return study, result.figures, watched


class RecordingWatcher(SilentWatcher):
    """Stores every call."""

    def __init__(self):
        self.lines, self.ended = [], []

    def on_progress(self, cell, line):
        self.lines.append((cell.method, line))

    def on_end(self, cell, result, done, total):
        self.ended.append((cell.folder, done, total))


def test_every_run_is_carried_out_once(finished, out):
    study, figures, watched = finished
    assert {(one.method, one.seed) for one in figures} == {
        (method, seed) for method in ("fix", "standard", "tuned fix/2") for seed in (0, 1)
    }
    counted = [(done, total) for _, done, total in watched.ended]
    assert counted == [(1, 4), (2, 4), (3, 4), (4, 4), (1, 2), (2, 2), (1, 2), (2, 2)]
    again = RecordingWatcher()
    assert run_study(study, out, watcher=again).figures == figures
    assert not again.ended


def test_every_run_reports_its_progress(finished):
    _, _, watched = finished
    lines = [line for method, line in watched.lines if method == "standard"]
    kinds = ["training", "epoch   1/1", "evaluation"]
    assert len(lines) == 6
    for line, kind in zip(lines, kinds * 2, strict=True):
        assert line.startswith(kind)
        assert "standard" not in line, "the line before it names method and seed"


def test_an_evaluation_with_other_settings_is_never_used(finished, out):
    """Neither if it sorts first, nor if it has fewer images, nor if it is the only one."""
    study, figures, _ = finished
    folder = run_of(out, "fix", 1)
    for settings in (("threat.eps=1/255",), ("evaluation.limit=5",), ("evaluation.top_k=2",)):
        evaluate_run(folder, settings)
    assert run_study(study, out).figures == figures
    (own,) = folder.glob("evaluations/test-linf-2_255-*-limit_12")
    shutil.move(own, out / "aside")
    watched = RecordingWatcher()
    assert run_study(study, out, watcher=watched).figures == figures
    assert [place for place, *_ in watched.ended] == [folder]
    for other in folder.glob("evaluations/*"):
        if other.name != own.name:
            shutil.rmtree(other)


def test_the_choice_is_made_on_validation(finished, out):
    choices = json.loads((out / "choices.json").read_text())
    (task,) = choices.values()
    values = task["tuned fix/2"]["validation expected"]
    assert task["tuned fix/2"]["chosen"] == max(values, key=values.get)
    for option in ("idle", "awake"):
        (folder,) = (out / "choices").glob(f"*/*/{option}/seed-7-*")
        (record,) = (load_record(one) for one in (folder / "evaluations").iterdir())
        assert record.metadata["split"] == "validation"
        assert values[option] == pytest.approx(_expected(record))


def _expected(record):
    return (record.accuracy[1:] + record.accuracy[:-1]).mean() / 2


def test_figures_are_those_of_the_runs(finished, out):
    _, figures, _ = finished
    one = next(f for f in figures if (f.method, f.seed) == ("fix", 1))
    folder = RunFolder(run_of(out, "fix", 1))
    (record,) = (load_record(path) for path in folder.evaluations.iterdir())
    assert record.metadata["split"] == "test"
    assert (one.clean, one.adversarial) == (record.accuracy[0], record.accuracy[-1])
    assert one.expected == pytest.approx(_expected(record))
    # 24 images: APGD with one step queries twice and the training once, with gradients but once.
    assert one.training_passes in (24 * 5, 24 * 6)
    kinds = (one.training_passes, one.validation_passes, one.monitor_passes, one.pilot_passes)
    assert one.passes == sum(kinds)
    assert one.full_from == 0
    assert next(f for f in figures if f.method == "standard").full_from == 1


def test_an_interrupted_study_resumes(finished, out):
    study, figures, _ = finished
    folder = run_of(out, "fix", 0)
    for record in folder.glob("evaluations/*/record.json"):
        record.unlink()
    again = RecordingWatcher()
    assert run_study(study, out, watcher=again).figures == figures
    assert again.ended == [(folder, 4, 4)]


def test_a_changed_setting_is_a_new_run_and_the_old_one_stays(finished, out):
    """So it is for a method, and for what changes no result nothing happens."""
    study, figures, _ = finished
    old = run_of(out, "fix", 0)
    same = study.model_copy(update={"base": {**study.base, "evaluation": dict(OTHER_EVALUATION)}})
    watched = RecordingWatcher()
    assert run_study(same, out, watcher=watched).figures == figures
    assert watched.ended == []
    linear = {**study.methods, "fix": ("schedule=linear",)}
    changed = study.model_copy(update={"methods": linear, "choices": {}, "seeds": (0,)})
    run_study(changed, out, watcher=watched)
    (new,) = (folder for folder, *_ in watched.ended)
    assert (new != old, new.parent == old.parent, (old / "model").is_dir()) == (True,) * 3
    shutil.rmtree(new)


def test_a_moved_study_is_finished(finished, out, tmp_path):
    study, figures, _ = finished
    shutil.copytree(out, tmp_path / "elsewhere")
    watched = RecordingWatcher()
    assert run_study(study, tmp_path / "elsewhere", watcher=watched).figures == figures
    assert watched.ended == []


def test_a_run_whose_hash_an_older_version_wrote_is_found(finished, out):
    """A new key changes the hash; the configuration, read by this version, has the identity."""
    study, figures, _ = finished
    folder = run_of(out, "fix", 1)
    old = folder.with_name("seed-1-00000000")
    folder.rename(old)
    watched = RecordingWatcher()
    assert run_study(study, out, watcher=watched).figures == figures
    assert watched.ended == []
    old.rename(folder)


def test_a_configuration_that_was_changed_is_never_read(finished, out):
    study, _, _ = finished
    file = run_of(out, "fix", 1) / "config.yaml"
    text = file.read_text()
    # Without the line of the checksum the change counts as wanted.
    file.write_text(text.partition("\n")[2].replace("epochs: 1", "epochs: 2"))
    result = run_study(study, out)
    assert [one.cell.folder for one in result.failures] == [file.parent]
    assert "training.epochs: 2 -> 1" in result.failures[0].reason
    file.write_text(text)
    assert not run_study(study, out).failures


def test_the_table_has_a_row_per_method_and_the_csv_a_row_per_run(finished, out):
    study, figures, _ = finished
    text = write_table(figures, planned_runs(study), out, study.references)
    assert text.endswith(LEGEND)
    draw_study(figures, planned_runs(study), out, study.references)
    rows = [line for line in text.splitlines() if re.match(r"\| (fix|standard|tuned fix/2) ", line)]
    assert len(rows) == 3
    assert (out / "study.png").stat().st_size > 0
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        assert row["task"] == TASKS[0]
        method = row["method"].replace("/", "_").replace(" ", "_")
        assert run_of(out, method, row["seed"]).name.endswith(row["identity"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [0, 1, 0]}, "seeds: [0, 1, 0]"),
        ({"seeds": [0, -1]}, "seeds.1"),
        ({"methods": {"fix": [], "lr 1/2": [], "lr 1+2": []}}, "name=lr 1"),
        ({"methods": {"fix": ["schedule.unit=epoch", "schedule.end=3"]}}, "unknown option"),
        (
            {"methods": {"fix": ["schedule={name: two-hinge, unit: epoch, end: 3, start: 1}"]}},
            "schedule.end=3 epochs: expected at most the run's 1 epoch",
        ),
        ({"methods": {"fix": ["schedule=fxi"]}, "choices": {}}, "did you mean fix"),
        ({"methods": {"fix": ["evaluation.strengths=[9/255]"]}}, "as the last strength"),
        ({"methods": {"fix": ["evaluation.split=validation"]}}, "evaluation.split=validation"),
        ({"methods": {"fix": ["evaluation.split=all"]}}, "evaluation.split=all"),
        ({"references": ["nothing"]}, "references"),
        ({"axes": {}}, "axes"),
        ({"seeds": 3}, "seeds: expected a list such as [0, 1, 2]"),
        ({"methods": {"fix": "schedule=fix"}}, "methods.fix: expected a list such as"),
        ({"methods": {"fix": {"schedule": "fix"}}}, "methods.fix: expected a list such as"),
        (
            {"axes": {"task": {"one": ["seed=3"]}}},
            "axes.task.one=seed=3: expected no seed",
        ),
        ({"methods": {"fix": ["seed=3"]}}, "methods.fix=seed=3: expected no seed"),
        (
            {"choices": {"t": {"method": "fix", "among": {"a": ["seed=3"], "b": []}}}},
            "choices.t.among.a=seed=3: expected no seed",
        ),
        ({"color": 1}, "color"),
        ({"resources": {"gpu": 1}}, "key of resources 'gpu': did you mean"),
        ({"resources": {"cpus": 0}}, "resources.cpus: expected"),
        ({"resources": {"processes": 0}}, "resources.processes: expected"),
        ({"ray": {"results": "here"}}, "ray.results: expected"),
        ({"choices": {"t": {"method": "other", "among": {"a": [], "b": []}}}}, "choices.t.method"),
        ({"choices": {"fix": {"method": "fix", "among": {"a": [], "b": []}}}}, "choices.fix="),
        (
            {"choices": {"t": {"method": "fix", "among": {"a": ["x=1"], "b": []}}}},
            "unknown key 'x'",
        ),
    ],
)
def test_an_invalid_study_is_refused(tree, tmp_path, change, message):
    with pytest.raises(RampartError, match=re.escape(message)):
        load_study(written(tree | change, tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: resnet50\ndata: photos/", "rampart train"),
        ("base: {}\nseeds: [0]", "has no axes"),
        ("base: {}\nseed: 0", "key of a study 'seed'"),
        ("", "axes and methods"),
    ],
)
def test_a_file_without_the_keys_of_a_study_says_what_to_write(tmp_path, text, says):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(RampartError, match=says):
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "base: 3"])
def test_a_file_that_is_not_a_study_is_refused(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(RunError, match="study"):
        load_study(tmp_path / "study.yaml")
    with pytest.raises(RunError, match="does not exist"):
        load_study(tmp_path / "missing.yaml")


def test_a_method_with_a_choice_has_no_row_if_only_chosen(tree, tmp_path):
    only = tree | {"only_chosen": True, "references": ["tuned fix/2"]}
    study = load_study(written(only, tmp_path))
    assert study.rows == {"standard": "standard", "tuned fix/2": "fix"}
    assert {method for _, method, _ in study.runs()} == {"standard"}
    assert planned_runs(study) == {TASKS[0]: {"standard": 2, "tuned fix/2": 2}}
    both = load_study(written(tree, tmp_path))
    assert [cell.folder for cell in option_cells(study, tmp_path)] == [
        cell.folder for cell in option_cells(both, tmp_path)
    ]


def test_all_methods_may_be_only_chosen(tree, tmp_path):
    only = {"only_chosen": True, "methods": {"fix": ["schedule=fix"]}, "references": []}
    study = load_study(written(tree | only, tmp_path))
    assert not list(study.runs())
    assert list(study.rows) == ["tuned fix/2"]


def test_a_reference_without_a_row_is_refused(tree, tmp_path):
    with pytest.raises(InvalidArgument) as error:
        load_study(written(tree | {"only_chosen": True}, tmp_path))
    assert error.value.name == "references"
    assert "tuned fix/2" in str(error.value)


@pytest.mark.parametrize(
    ("parts", "rows", "options"),
    [
        ({}, [0, 1], [7]),
        ({"only": [{"seed": [1]}]}, [1], [7]),
        ({"only": [{"method": ["standard"]}]}, [], []),
        ({"only": [{"seed": [7]}, {"method": ["standard"]}]}, [], [7]),
        ({"exclude": [{"seed": [0, 1], "method": ["fix"]}]}, [], [7]),
        ({"exclude": [{"seed": [7]}]}, [0, 1], []),
    ],
)
def test_a_choice_that_a_row_needs_has_all_its_seeds(tree, tmp_path, parts, rows, options):
    study = load_study(written(tree | parts, tmp_path))
    found = {cell.config.seed for cell in option_cells(study, tmp_path)}
    assert sorted(found) == options
    chosen = {("photos at 2/255", "tuned fix/2"): "idle"}
    assert [cell.config.seed for cell in chosen_cells(study, tmp_path, chosen)] == rows
    planned = Counter(run.choice for run in plan_study(study, None) if run.method != "standard")
    assert planned["tuned fix/2"] == 2 * len(options)


@pytest.mark.parametrize(
    ("among", "says"),
    [
        ({"a": [], "b": ["seed=3"]}, "no seed"),
        ({"a": ["optimizer.head_lr=1"], "b": ["optimizer.head_lr=1.0"]}, "under two names"),
        ({"a": [], "b": ["evaluation.split=validation"]}, "evaluation.split"),
    ],
)
@pytest.mark.parametrize("parts", [{}, {"only": [{"seed": [1]}]}, {"exclude": [{"seed": [7]}]}])
def test_options_are_checked_whatever_is_carried_out(tree, tmp_path, among, says, parts):
    choices = {"tuned": {"method": "fix", "seeds": [7, 8], "among": among}}
    with pytest.raises(RampartError, match=says):
        load_study(written(tree | {"choices": choices} | parts, tmp_path))


def test_only_chosen_without_choices_is_refused(tree, tmp_path):
    with pytest.raises(InvalidArgument) as error:
        load_study(written(tree | {"only_chosen": True, "choices": {}}, tmp_path))
    assert error.value.name == "only_chosen"


@pytest.fixture
def failing(tree, tmp_path):
    """A study in which one method and one option of the choice cannot be trained."""
    bad = ["training.batch_size=64"]
    among = {**tree["choices"]["tuned fix/2"]["among"], "bad": bad}
    changed = {
        "seeds": [0],
        "methods": {"bad": bad, **tree["methods"]},
        "choices": {"tuned": {"method": "fix", "seeds": [7], "among": among}},
    }
    return load_study(written(tree | changed, tmp_path))


def test_a_failed_run_does_not_stop_the_others(failing, tmp_path):
    result = run_study(failing, tmp_path)
    assert [one.method for one in result.figures] == ["fix", "standard"]
    assert [(one.cell.method, one.cell.choice) for one in result.failures] == [
        ("bad", ""),
        ("bad", "tuned"),
    ]
    assert result.open_choices == [("photos at 2/255", "tuned")]
    for failure in result.failures:
        assert "training.batch_size" in failure.reason
        saved = failure.cell.error_file.read_text()
        assert failure.reason in saved
        assert "Traceback" in saved
    text = write_table(result.figures, planned_runs(failing), tmp_path, missing=result.missing)
    assert "- photos at 2/255, bad, seed 0\n- photos at 2/255, tuned, every seed" in text


def test_a_failed_run_is_repeated(failing, tmp_path, monkeypatch):
    def planted(*_, **__):
        raise MemoryError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(evaluate_named, "ensure_evaluated", planted)
        result = run_study(failing, tmp_path)
    assert not result.figures
    assert [one.reason for one in result.failures].count("MemoryError: planted") == 4
    watched = RecordingWatcher()
    assert len(run_study(failing, tmp_path, watcher=watched).figures) == 2
    # The trained runs are not trained again.
    assert not any("epoch" in line for _, line in watched.lines)
    assert len(list(tmp_path.glob("*/**/*-error.txt"))) == 2


def test_a_signal_stops_the_study_and_it_resumes(failing, tmp_path):
    class Stops(RecordingWatcher):
        def on_progress(self, cell, line):
            super().on_progress(cell, line)
            if cell.method == "fix" and "epoch" in line:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt) as stop:
        run_study(failing, tmp_path, watcher=Stops())
    assert stop.value.args == (signal.SIGTERM,)
    assert RunFolder(run_of(tmp_path, "fix", 0)).status() == "interrupted"
    assert len(run_study(failing, tmp_path).figures) == 2


@pytest.mark.slow
def test_a_process_that_dies_fails_its_run_only(failing, tmp_path):
    part = tmp_path / "dies.py"
    part.write_text(
        "import os\n"
        "from dataclasses import dataclass\n"
        "from rampart.objectives.catalogue import OBJECTIVES\n"
        "from rampart.objectives.adversarial import Adversarial\n"
        "@OBJECTIVES.register('dies')\n"
        "@dataclass(frozen=True)\n"
        "class Dies(Adversarial):\n"
        "    def bind(self, model):\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    import_parts(str(part))
    methods = {**failing.methods, "bad": ("objective=dies",)}
    result = run_study(
        failing.model_copy(update={"methods": methods, "choices": {}}),
        tmp_path,
        engine=Processes(2),
    )
    assert [one.method for one in result.figures] == ["fix", "standard"]
    (failure,) = result.failures
    assert (failure.cell.method, "SIGKILL" in failure.reason) == ("bad", True)


@pytest.mark.slow
def test_several_workers_give_the_results_of_one(finished, tmp_path):
    study, figures, _ = finished
    others = run_study(study, tmp_path / "workers", engine=Processes(2)).figures
    assert [one._replace(seconds=0) for one in others] == [
        one._replace(seconds=0) for one in figures
    ]


def test_the_committed_studies_can_be_read():
    folder = Path(__file__).parents[2] / "configs" / "studies"
    studies = {path.stem: load_study(path) for path in folder.glob("*.yaml")}
    assert {name: next(iter(study.references), None) for name, study in studies.items()} == {
        "batch-norm": "BatchNorm, fix",
        "compute": "APGD, 7 steps",
        "compute-photos": "APGD, 7 steps",
        "compute-restart": None,
        "compute-restart-digits": None,
        "compute-validation": "APGD, 7 steps",
        "embedded": "default",
        "embedded-seeds": "default",
        "min-skill-embedded": None,
        "min-skill-photos": None,
        "neighbours": "default",
        "neighbours-photos": "default",
        "parts": "default",
        "parts-photos": "default",
        "photos": "adaptive",
        "photos-frozen": "default",
        "photos-frozen-seeds": "default",
        "photos-reachable": "adaptive",
        "photos-seeds": "adaptive",
        "small-grid": "default",
    }
