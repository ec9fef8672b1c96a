import json
import os
import re
import shutil
import socket

import numpy as np
import pytest
from evaluating import NETWORK, Killed, evaluate

from rampart.errors import (
    RunError,
)
from rampart.guarded import CallError
from rampart.records.storage import load_record


def test_every_file_of_an_evaluation_is_there(network, tmp_path):
    evaluate(network, tmp_path)
    files = {"record.json", "samples.parquet", "curve.csv", "summary.json", "curve.png"}
    files.add("report.html")
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == files
    figures = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert figures["expected_bounds"]["low"] <= figures["expected_bounds"]["high"]
    assert figures["worst_class"]["n"] == 5


@pytest.mark.parametrize("size", [2, 7])
def test_an_interrupted_evaluation_resumes(network, tmp_path, size):
    whole = evaluate(network, tmp_path)
    shutil.rmtree(tmp_path / "evaluation")

    def kill(done, total):
        assert total == 15
        if done > 5:
            raise Killed

    with pytest.raises(Killed):
        evaluate(network, tmp_path, "evaluation.batch_size=2", on_progress=kill)
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == {"partial"}
    record = evaluate(network, tmp_path, f"evaluation.batch_size={size}")
    assert 0 < record.metadata["resumed"] < 15
    assert record.ids == whole.ids
    assert record.critical.tolist() == whole.critical.tolist()
    assert np.array_equal(record.distance, whole.distance, equal_nan=True)
    assert not (tmp_path / "evaluation" / "partial").exists()


def test_a_model_that_raises_in_mid_evaluation_loses_nothing(network, tmp_path):
    whole = evaluate(network, tmp_path)
    shutil.rmtree(tmp_path / "evaluation")
    fails = tmp_path / "fails"
    planted = (
        "if Path(__file__).with_name('fails').exists():\n            raise ValueError('planted')"
    )
    code = NETWORK.replace("return 20", f"{planted}\n        return 20")
    (tmp_path / "nets.py").write_text(f"from pathlib import Path\n{code}")

    def fail(done, total):
        if done > 5:
            fails.touch()

    says = r"ValueError: planted.* (\d+) of 15 images are evaluated and kept: .*same command"
    with pytest.raises(CallError, match=says) as error:
        evaluate(network, tmp_path, "evaluation.batch_size=2", on_progress=fail)
    fails.unlink()
    record = evaluate(network, tmp_path)
    assert record.metadata["resumed"] == int(re.search(says, str(error.value))[1]) > 5
    assert record.critical.tolist() == whole.critical.tolist()


def test_partial_results_of_another_evaluation_are_not_used(network, tmp_path):
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


def test_a_finished_evaluation_loses_the_lock_of_a_killed_process(network, tmp_path):
    evaluate(network, tmp_path)
    gone = {"host": socket.gethostname(), "process": os.getpid(), "started": 0.0}
    lock = tmp_path / "evaluation" / "writer.lock"
    lock.write_text(json.dumps({**gone, "since": "", "key": "x"}))
    with pytest.raises(RunError, match="finished"):
        evaluate(network, tmp_path)
    assert not lock.exists()


def test_an_evaluation_is_replaced_on_request_only(network, tmp_path):
    evaluate(network, tmp_path)
    with pytest.raises(RunError, match="--overwrite replaces it"):
        evaluate(network, tmp_path)
    record = evaluate(network, tmp_path, "evaluation.limit=3", overwrite=True)
    assert len(record) == len(load_record(tmp_path / "evaluation")) == 3


def test_other_files_are_not_replaced(network, tmp_path):
    photos = tmp_path / "evaluation"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"holds other files, such as cat\.jpg"):
            evaluate(network, tmp_path, overwrite=overwrite)
    assert (photos / "cat.jpg").read_bytes() == b"precious"
