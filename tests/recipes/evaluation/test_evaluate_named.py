"""Evaluations of runs and of other models, from the settings to the folder."""

import numpy as np
import pytest
import torch
from evaluating import NETWORK, evaluate, margins
from tests.checked_files import replace_text

from rampart.errors import (
    InvalidArgument,
    ModelError,
    RampartError,
    UnknownName,
)
from rampart.metrics.continuum import bounds
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated, evaluate_model, evaluate_run


def test_critical_strengths_of_a_users_linear_model_are_exact(network, tmp_path, photo_folder):
    record = evaluate(network, tmp_path, "evaluation.attack.steps=20")
    expected = np.array(list(margins(photo_folder).values()))
    assert record.critical.tolist() == np.searchsorted(record.grid, expected).tolist()
    assert record.metadata["model"]["source"] == "factory"
    assert record.metadata["model"]["classes"] == ["blue", "green", "red"]
    assert "run" not in record.metadata
    found = bounds(record.critical, record.grid, distances=record.distance)
    assert found.low <= np.minimum(expected / (80 / 255), 1).mean() <= found.high + 1e-6


def test_the_model_of_a_run_is_the_same_as_a_folder_of_timms(run, tmp_path, photo_folder):
    folder, ours = evaluate_run(run.path, ("evaluation.checks=false",))
    assert folder == run.evaluations / "test-linf-8_255-apgd-3"
    settings = (f"data={photo_folder}", "data.image_size=16", "threat.eps=8/255")
    few = ("evaluation.attack.steps=3", "evaluation.checks=false")
    _, theirs = evaluate_model(str(run.model), (*settings, *few), tmp_path / "timm")
    assert theirs.metadata["model"]["source"] == "timm"
    assert theirs.critical.tolist() == ours.critical.tolist()
    assert theirs.ids == ours.ids


@pytest.mark.filterwarnings("ignore:threat.eps=160/255:rampart.errors.RampartWarning")
def test_black_boxes_are_attacked_without_gradients_only(onnx_file, tmp_path, photo_folder):
    settings = (f"data={photo_folder}", "data.image_size=16", "threat.eps=160/255")
    settings += ("evaluation.strengths=[80/255, 160/255]", "evaluation.match=by_position")
    where = tmp_path / "evaluation"
    with pytest.raises(InvalidArgument, match=r"without gradients.*evaluation.attack=square"):
        evaluate_model(onnx_file, settings, where)
    assert not (where / "record.json").exists()
    square = ("evaluation.attack={name: square, queries: 100}",)
    _, record = evaluate_model(onnx_file, (*settings, *square), where)
    assert record.metadata["model"]["source"] == "onnx"
    assert record.metadata["backwards"] == 0
    assert record.accuracy[0] == 1
    assert set(record.found_by) - {None} == {"square"}


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


def test_a_part_of_the_split_gets_the_same_results_as_in_the_whole(network, tmp_path):
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
        evaluate_run(str(run.path), (f"evaluation.batch_size={size}",), overwrite=True)[1]
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


def test_top_k_and_target_change_the_criterion(network, tmp_path):
    fine = "evaluation.resolution=16"
    plain = evaluate(network, tmp_path, fine)
    for setting in ("evaluation.top_k=2", "evaluation.target=least-likely"):
        harder = evaluate(network, tmp_path, fine, setting, overwrite=True)
        assert (harder.critical >= plain.critical).all()
        assert (harder.critical > plain.critical).any()


def test_the_rerun_is_in_the_record_and_agrees(network, tmp_path):
    record = evaluate(network, tmp_path, "evaluation.rerun=6", "evaluation.checks=true")
    found = record.metadata["rerun"]
    assert found["n"] == 6
    assert [at["eps"] for at in found["strengths"]] == record.grid[1:].tolist()
    assert all(at["accuracy"] == at["alone"] for at in found["strengths"])
    verdicts = {one["check"]: one["status"] for one in record.metadata["checks"]["verdicts"]}
    assert verdicts["rerun"] == "pass"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("evaluation.limit=99", "limit=99"),
        ("evaluation.stratified=true", "stratified=True"),
        ("evaluation.ids=nothing.txt", "cannot be read"),
        ("evaluation.strengths=[1/255]", r"threat.eps, 80/255, as the last strength"),
        ("evaluation.strengths=[60/255, 40/255, 80/255]", "each larger than the one before"),
        ("evaluation.mode=quick", "evaluation.mode=quick"),
        ("evaluation.top_k=0", "evaluation.top_k=0"),
        ("evaluation.target=any", "evaluation.target=any"),
        ("evaluation.attack=autoattack", "unknown attack 'autoattack'"),
        ("evaluation.confidence=1", "evaluation.confidence=1"),
        ("training.epochs=3", "cannot change training.epochs"),
    ],
)
def test_invalid_settings_are_refused(network, tmp_path, setting, says):
    with pytest.raises(RampartError, match=says) as caught:
        evaluate(network, tmp_path, setting)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evaluation" / "record.json").exists()


def test_models_that_do_not_fit_the_data(network, tmp_path):
    reference, settings = network
    (tmp_path / "nets.py").write_text(NETWORK.replace("[2, 1, 0]", "[2, 1]"))
    with pytest.raises(ModelError, match="2 outputs, but the data have 3"):
        evaluate((reference, settings), tmp_path)
    with pytest.raises(UnknownName, match="did you mean network"):
        evaluate((f"{reference}s", settings), tmp_path)


def test_no_slow_import_without_need():
    import subprocess
    import sys

    code = (
        "import sys, rampart.recipes.evaluation.evaluate_named\n"
        "slow = {'transformers', 'onnxruntime', 'onnx', 'datasets', 'pyarrow', 'matplotlib'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_global_random_state_is_left_alone(network, tmp_path):
    before = torch.get_rng_state()
    evaluate(network, tmp_path, "evaluation.checks=true")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_own_evaluation_is_made_once_and_resumes(run):
    """Also beside an evaluation with other settings, and after any exception."""
    evaluate_run(run.path, ("threat.eps=2/255", "evaluation.checks=false"))
    few = {"split": "validation", "limit": 6, "checks": False, "batch_size": 2}

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


def test_an_evaluation_of_other_images_is_replaced(run):
    """Its folder has the same name, which does not contain the size of the images."""
    folder, record = ensure_evaluated(run.path, checks=False)
    header = folder / "record.json"
    replace_text(header, '"image_size": 16', '"image_size": 17')
    again, anew = ensure_evaluated(run.path, checks=False)
    assert (again, anew.metadata["settings"]["data"]["image_size"]) == (folder, 16)
    assert anew.critical.tolist() == record.critical.tolist()


def test_another_size_of_the_images_has_a_folder_of_its_own(run):
    few = ("evaluation.checks=false", "evaluation.attack.steps=1")
    own, _ = evaluate_run(run.path, few)
    other, _ = evaluate_run(run.path, (*few, "data.image_size=48"))
    assert other.name == f"{own.name}-image_size_48"
