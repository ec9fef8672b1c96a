"""Every file of a run is readable as the umask says, whoever writes it."""

import os
import stat

import pytest

from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_run_and_its_evaluation(tiny_settings, tmp_path):
    before = os.umask(0o027)
    try:
        short = [*tiny_settings, "training.epochs=1", "training.checkpoint=best"]
        folder = train_run(load_config(None, short), tmp_path / "run")
        evaluate_run(folder.path, ("evaluation.adversarial_examples=true",))
    finally:
        os.umask(before)
    written = list(folder.path.rglob("*"))
    endings = {path.suffix for path in written if path.is_file()}
    assert endings >= {
        ".safetensors",
        ".pt",
        ".json",
        ".jsonl",
        ".yaml",
        ".parquet",
        ".csv",
        ".png",
    }
    for path in written:
        expected = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
