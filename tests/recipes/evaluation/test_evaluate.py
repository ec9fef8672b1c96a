"""Evaluations of runs and of other models, from settings to the folder that is left."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from rampart.errors import (
    DataError,
    InvalidArgument,
    ModelError,
    RampartError,
    RunError,
    UnknownName,
)
from rampart.metrics.continuum import bounds
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate import ensure_evaluated, evaluate_other, evaluate_run
from rampart.recipes.evaluation.naming import evaluation_name
from rampart.recipes.evaluation.verify import verify
from rampart.recipes.run import train_run
from rampart.records.storage import load_record, save_record
from rampart.runs.run_folder import RunFolder

#: A linear classifier by the means of the channels: half its smallest margin breaks an image.
NETWORK = """
from torch import nn

class Means(nn.Module):
    def forward(self, pixels):
        return 20 * pixels.mean((2, 3))[:, [2, 1, 0]]

def network():
    return Means()
"""


@pytest.fixture(scope="module")
def trained(photo_folder, tmp_path_factory):
    settings = [
        "model.name=rampart_glyphnet",
        "model.pretrained=false",
        "model.options={norm: batch, in_chans: 3}",
        f"data.name={photo_folder}",
        "data.image_size=16",
        "threat.eps=8/255",
        "training.epochs=2",
        "training.batch_size=8",
        "attack.steps=2",
        "evaluation.attack.steps=3",
        "optimiser.backbone_lr=1e-3",
    ]
    return train_run(load_config(None, settings), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def run(trained, tmp_path):
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


@pytest.fixture
def network(tmp_path, photo_folder):
    """A model that is no run, as reference and settings."""
    (tmp_path / "nets.py").write_text(NETWORK)
    # In an order in which a whole section in place of a name would lose the size.
    settings = ("data.image_size=16", f"data={photo_folder}", "threat.eps=80/255")
    few = ("evaluation.strengths=[20/255, 40/255, 60/255, 80/255]", "evaluation.trust=false")
    return f"{tmp_path / 'nets.py'}:network", (*settings, *few)


def evaluate(network, tmp_path, *more, **options):
    reference, settings = network
    return evaluate_other(reference, (*settings, *more), tmp_path / "evaluation", **options)[1]


def margins(folder):
    """The smallest strength that breaks each test image, in closed form while no pixel is cut."""
    found = {}
    for path in sorted((folder / "test").rglob("*.png")):
        means = (np.asarray(Image.open(path)) / 255).mean((0, 1))[::-1]
        label = ("blue", "green", "red").index(path.parent.name)
        # One channel falls by eps, another one rises by eps.
        found[f"{path.parent.name}/{path.name}"] = min(means[label] - np.delete(means, label)) / 2
    return found


def test_a_function_of_the_user_meets_its_closed_form(network, tmp_path, photo_folder):
    record = evaluate(network, tmp_path, "evaluation.attack.steps=20")
    expected = np.array(list(margins(photo_folder).values()))
    assert record.critical.tolist() == np.searchsorted(record.grid, expected).tolist()
    assert record.metadata["model"]["source"] == "factory"
    assert record.metadata["model"]["classes"] == ["blue", "green", "red"]
    assert "run" not in record.metadata
    found = bounds(record.critical, record.grid, distances=record.reach)
    assert found.low <= np.minimum(expected / (80 / 255), 1).mean() <= found.high + 1e-6


def test_every_file_of_an_evaluation_is_there(network, tmp_path):
    evaluate(network, tmp_path)
    files = {"record.json", "samples.parquet", "curve.csv", "summary.json", "curve.png"}
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == files
    figures = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert figures["expected_bounds"]["low"] <= figures["expected_bounds"]["high"]
    assert figures["worst_class"]["n"] == 5


def test_the_model_of_a_run_is_the_same_as_a_folder_of_timms(run, tmp_path, photo_folder):
    folder, ours = evaluate_run(run.path, ("evaluation.trust=false",))
    assert folder == run.evaluations / "test-linf-8_255-apgd-3"
    settings = (f"data={photo_folder}", "data.image_size=16", "threat.eps=8/255")
    few = ("evaluation.attack.steps=3", "evaluation.trust=false")
    _, theirs = evaluate_other(str(run.model), (*settings, *few), tmp_path / "timm")
    assert theirs.metadata["model"]["source"] == "timm"
    assert theirs.critical.tolist() == ours.critical.tolist()
    assert theirs.ids == ours.ids


def test_black_boxes_are_attacked_without_gradients_only(onnx_file, tmp_path, photo_folder):
    settings = (f"data={photo_folder}", "data.image_size=16", "threat.eps=160/255")
    settings += ("evaluation.strengths=[80/255, 160/255]", "evaluation.match=by_position")
    where = tmp_path / "evaluation"
    with pytest.raises(InvalidArgument, match=r"without gradients.*evaluation.attack=square"):
        evaluate_other(onnx_file, settings, where)
    assert not (where / "record.json").exists()
    square = ("evaluation.attack={name: square, queries: 100}",)
    _, record = evaluate_other(onnx_file, (*settings, *square), where)
    assert record.metadata["model"]["source"] == "onnx"
    assert record.metadata["backwards"] == 0
    assert record.accuracy[0] == 1
    assert set(record.broken_by) - {None} == {"square"}


@pytest.fixture
def onnx_file(tmp_path):
    """`NETWORK` as a file without gradients."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    swap = 20 * np.eye(3, dtype=np.float32)[::-1]
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "swap"], ["logits"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    constants = [numpy_helper.from_array(swap.copy(), "swap")]
    graph = helper.make_graph(nodes, "means", [pixels], [logits], constants)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "a.onnx")
    return str(tmp_path / "a.onnx")


def test_a_part_of_the_split_gives_what_the_whole_gives_of_it(network, tmp_path):
    whole = evaluate(network, tmp_path)
    known = dict(zip(whole.ids, whole.critical.tolist(), strict=True))
    (tmp_path / "ids.txt").write_text("\n".join([whole.ids[7], whole.ids[2]]))
    for more, n in (
        (("evaluation.limit=6",), 6),
        (("evaluation.limit=6", "evaluation.stratified=true"), 6),
        ((f"evaluation.ids={tmp_path / 'ids.txt'}",), 2),
    ):
        part = evaluate(network, tmp_path, *more, overwrite=True)
        assert len(part) == n
        assert [known[name] for name in part.ids] == part.critical.tolist()
        if "evaluation.stratified=true" in more:
            assert np.bincount(part.labels).tolist() == [2, 2, 2]


def test_the_batch_size_changes_nothing(run):
    records = [
        evaluate_run(run.path, (f"evaluation.batch_size={size}",), overwrite=True)[1]
        for size in (1, 4, 64)
    ]
    assert records[0].critical.tolist() == records[1].critical.tolist()
    assert records[0].critical.tolist() == records[2].critical.tolist()


@pytest.mark.parametrize(
    ("setting", "grid"),
    [
        ("evaluation.resolution=2", [0, 10, 20, 30, 40, 50, 60, 70, 80]),
        ("evaluation.strengths=[8/255, 80/255]", [0, 8, 80]),
        ("threat={norm: l2, eps: 80/255}", [0, 20, 40, 60, 80]),
    ],
)
def test_strengths_are_those_asked_for(network, tmp_path, setting, grid):
    record = evaluate(network, tmp_path, setting)
    assert (255 * record.grid).tolist() == pytest.approx(grid)


def test_top_and_reach_change_the_goal(network, tmp_path):
    fine = "evaluation.resolution=16"
    plain = evaluate(network, tmp_path, fine)
    for setting in ("evaluation.top=2", "evaluation.reach=least-likely"):
        harder = evaluate(network, tmp_path, fine, setting, overwrite=True)
        assert (harder.critical >= plain.critical).all()
        assert (harder.critical > plain.critical).any()


def test_the_audit_is_in_the_record_and_agrees(network, tmp_path):
    record = evaluate(network, tmp_path, "evaluation.audit=6", "evaluation.trust=true")
    found = record.metadata["audit"]
    assert found["n"] == 6
    assert [at["eps"] for at in found["strengths"]] == record.grid[1:].tolist()
    assert all(at["accuracy"] == at["alone"] for at in found["strengths"])
    verdicts = {one["check"]: one["status"] for one in record.metadata["trust"]["verdicts"]}
    assert verdicts["audit"] == "pass"


class Killed(BaseException):
    """What no one catches."""


@pytest.mark.parametrize("size", [2, 7])
def test_an_interrupted_evaluation_goes_on(network, tmp_path, size):
    whole = evaluate(network, tmp_path)
    shutil.rmtree(tmp_path / "evaluation")

    def kill(done, total):
        assert total == 15
        if done > 5:
            raise Killed

    with pytest.raises(Killed):
        evaluate(network, tmp_path, "evaluation.batch_size=2", on_progress=kill)
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == {"unfinished"}
    record = evaluate(network, tmp_path, f"evaluation.batch_size={size}")
    assert 0 < record.metadata["resumed"] < 15
    assert record.ids == whole.ids
    assert record.critical.tolist() == whole.critical.tolist()
    assert np.array_equal(record.reach, whole.reach, equal_nan=True)
    assert not (tmp_path / "evaluation" / "unfinished").exists()


def test_what_another_evaluation_left_is_not_gone_on_with(network, tmp_path):
    def kill(done, total):
        raise Killed

    with pytest.raises(Killed):
        evaluate(network, tmp_path, on_progress=kill)
    for setting in ("evaluation.attack.steps=4", "model={mean: [0,0,0], std: [2,2,2]}", "seed=1"):
        reference, settings = network
        if setting.startswith("model"):
            setting = "model.std=[2,2,2]"
            settings = (*settings, "model.mean=[0,0,0]")
        with pytest.raises(RunError, match="--overwrite"):
            evaluate((reference, settings), tmp_path, setting)
    assert len(evaluate(network, tmp_path, "evaluation.attack.steps=4", overwrite=True)) == 15


def test_an_evaluation_is_replaced_on_request_only(network, tmp_path):
    evaluate(network, tmp_path)
    with pytest.raises(RunError, match="--overwrite replaces it"):
        evaluate(network, tmp_path)
    record = evaluate(network, tmp_path, "evaluation.limit=3", overwrite=True)
    assert len(record) == len(load_record(tmp_path / "evaluation")) == 3


def test_settings_that_change_results_change_the_name(tmp_path):
    lists = [tmp_path / "a" / "ids.txt", tmp_path / "b" / "ids.txt"]
    for number, path in enumerate(lists):
        path.parent.mkdir()
        path.write_text(f"{number}.png")
    changes = [
        *("threat.eps=3/255", "threat.norm=l2", "evaluation.split=validation"),
        *("evaluation.attack=standard", "evaluation.attack=square", "evaluation.attack.steps=9"),
        *("evaluation.attack.loss=dlr", "evaluation.attack.restarts=2", "evaluation.mode=exact"),
        *("evaluation.limit=3", "evaluation.top=2", "evaluation.reach=likely"),
        *("evaluation.resolution=2", "evaluation.match=by_name"),
        *("evaluation.strengths=[1/255, 4/255]", "evaluation.strengths=[2/255, 4/255]"),
        *(f"evaluation.ids={path}" for path in lists),
    ]
    needed = ["model=a", "data=b"]
    names = [evaluation_name(load_config(None, [*needed, change])) for change in changes]
    names.append(evaluation_name(load_config(None, needed)))
    assert len(set(names)) == len(changes) + 1
    assert all("/" not in name for name in names)
    assert names[-1] == "test-linf-4_255-apgd-10"
    free = ("evaluation.audit=5", "evaluation.batch_size=3", "evaluation.trust=false")
    assert {evaluation_name(load_config(None, [*needed, one])) for one in free} == {names[-1]}


def test_without_a_folder_the_name_tells_model_data_and_settings(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, settings = network
    names = [
        evaluate_other("nets:network", (*settings, *more))[0]
        for more in ((), ("seed=1",), ("evaluation.limit=5",))
    ]
    assert all(name.parent.name == "evaluations" for name in names)
    assert all(name.name.startswith("nets_network-photos") for name in names)
    assert len(set(names)) == 3


def test_witnesses_verify_a_record(network, tmp_path, photo_folder):
    evaluate(network, tmp_path)
    with pytest.raises(RunError, match="witnesses=true"):
        verify(tmp_path / "evaluation")
    record = evaluate(network, tmp_path, "evaluation.witnesses=true", overwrite=True)
    seen = []
    found = verify(tmp_path / "evaluation", on_progress=lambda done, total: seen.append(done))
    assert found.ok
    assert found.witnesses == record.found.sum() > 0
    assert seen[-1] == len(record)
    moved = shutil.copytree(photo_folder, tmp_path / "moved")
    assert verify(tmp_path / "evaluation", (f"data={moved}",)).ok
    forged = load_record(tmp_path / "evaluation", witnesses=True)
    images = forged.witnesses.copy()
    images[2] = 0
    save_record(replace(forged, witnesses=images), tmp_path / "forged")
    failed = verify(tmp_path / "forged")
    assert {failure.id for failure in failed.failures} == {np.array(record.ids)[record.found][2]}


def test_other_weights_are_told(run):
    folder, _ = evaluate_run(run.path, ("evaluation.witnesses=true", "evaluation.trust=false"))
    assert verify(folder).ok
    weights = run.model / "model.safetensors"
    changed = {
        name: w + 1 if w.is_floating_point() else w for name, w in load_file(weights).items()
    }
    save_file(changed, weights, {"format": "pt"})
    with pytest.raises(RunError, match="its weights, or the file"):
        verify(folder)


def test_a_record_moves_with_its_run(run, tmp_path):
    folder, _ = evaluate_run(run.path, ("evaluation.witnesses=true", "evaluation.trust=false"))
    shutil.move(run.path, tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "evaluations" / folder.name
    assert verify(moved).ok


def test_other_data_are_told(network, tmp_path, photo_folder):
    evaluate(network, tmp_path, "evaluation.witnesses=true")
    other = shutil.copytree(photo_folder, tmp_path / "other")
    (other / "test" / "red" / "0.png").rename(other / "test" / "red" / "new.png")
    with pytest.raises(RunError, match=r"the data lack 1 images of .*0\.png"):
        verify(tmp_path / "evaluation", (f"data={other}",))
    (other / "test" / "red" / "new.png").rename(other / "test" / "red" / "0.png")
    shutil.copy(other / "test" / "blue" / "0.png", other / "test" / "red" / "0.png")
    found = verify(tmp_path / "evaluation", (f"data={other}",))
    assert {failure.id for failure in found.failures} == {"test/red/0.png"}
    shutil.rmtree(other)
    with pytest.raises(DataError):
        verify(tmp_path / "evaluation", (f"data={other}",))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("evaluation.limit=99", "limit=99"),
        ("evaluation.stratified=true", "a limit as well"),
        ("evaluation.ids=nothing.txt", "cannot be read"),
        ("evaluation.strengths=[1/255]", r"threat.eps, 80/255, as the last strength"),
        ("evaluation.strengths=[60/255, 40/255, 80/255]", "each larger than the one before"),
        ("evaluation.mode=quick", "evaluation.mode=quick"),
        ("evaluation.top=0", "evaluation.top=0"),
        ("evaluation.reach=any", "evaluation.reach=any"),
        ("evaluation.attack=autoattack", "unknown attack 'autoattack'"),
        ("evaluation.level=1", "evaluation.level=1"),
        ("training.epochs=3", "cannot change training.epochs"),
    ],
)
def test_settings_that_make_no_sense(network, tmp_path, setting, says):
    with pytest.raises(RampartError, match=says) as caught:
        evaluate(network, tmp_path, setting)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evaluation" / "record.json").exists()


def test_models_that_do_not_fit_the_data(network, tmp_path):
    reference, settings = network
    (tmp_path / "nets.py").write_text(NETWORK.replace("[2, 1, 0]", "[2, 1]"))
    with pytest.raises(ModelError, match="2 outputs, but the data has 3"):
        evaluate((reference, settings), tmp_path)
    with pytest.raises(UnknownName, match="did you mean network"):
        evaluate((f"{reference}s", settings), tmp_path)


def test_nothing_slow_is_imported_that_is_not_needed():
    import subprocess
    import sys

    code = (
        "import sys, rampart.recipes.evaluation.evaluate\n"
        "slow = {'transformers', 'onnxruntime', 'onnx', 'datasets', 'pyarrow', 'matplotlib'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_global_random_state_is_left_alone(network, tmp_path):
    before = torch.get_rng_state()
    evaluate(network, tmp_path, "evaluation.trust=true")
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_of_somebody_elses_is_replaced(network, tmp_path):
    photos = tmp_path / "evaluation"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"holds other files, such as cat\.jpg"):
            evaluate(network, tmp_path, overwrite=overwrite)
    assert (photos / "cat.jpg").read_bytes() == b"precious"


def test_the_own_evaluation_is_made_once_and_goes_on(run):
    """Beside one with other settings, and whatever stopped it."""
    evaluate_run(run.path, ("threat.eps=2/255", "evaluation.trust=false"))
    few = {"split": "validation", "limit": 6, "trust": False, "batch_size": 2}

    def kill(done, total):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_evaluated(run.path, on_progress=kill, **few)
    folder, record = ensure_evaluated(run.path, **few)
    assert (record.metadata["split"], len(record), record.eps) == ("validation", 6, 8 / 255)
    assert record.metadata["resumed"] > 0
    stamp = (folder / "record.json").stat().st_mtime_ns
    assert ensure_evaluated(run.path, **few)[0] == folder
    assert (folder / "record.json").stat().st_mtime_ns == stamp


def test_an_evaluation_of_other_images_makes_way(run):
    """Its folder has the same name: the size of the images is not part of it."""
    folder, record = ensure_evaluated(run.path, trust=False)
    header = folder / "record.json"
    header.write_text(header.read_text().replace('"image_size": 16', '"image_size": 17'))
    again, anew = ensure_evaluated(run.path, trust=False)
    assert (again, anew.metadata["settings"]["data"]["image_size"]) == (folder, 16)
    assert anew.critical.tolist() == record.critical.tolist()
