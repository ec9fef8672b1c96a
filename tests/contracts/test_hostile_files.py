"""Files of strangers, for every reader: a pipe and a device end at once, and no pickle is run."""

import os
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from rampart.checksums import read_checked
from rampart.data.decode import Decode, ImageFile
from rampart.data.id_list import read_ids
from rampart.data.readers.request import Request
from rampart.data.readers.shards import load_shards, shards_of
from rampart.data.readers.table import load_table
from rampart.data.readers.tree import read_tree
from rampart.data.split_file import read_split_file
from rampart.errors import RampartError
from rampart.evaluation.partial_results import PartialResults, read_results
from rampart.experiments.loading import load_study
from rampart.experiments.tuning.outcome import read_spent
from rampart.experiments.tuning.trials import read_search
from rampart.files import checksum
from rampart.models.external.load import load_model
from rampart.models.sources import find_source
from rampart.models.weight_files import read_weights
from rampart.recipes.config.loading import load_config
from rampart.recipes.saved_model import read_description
from rampart.records.columnar import INTEGER, read_columns, read_notes
from rampart.records.storage import load_record
from rampart.reports.comparison import require_own_comparison
from rampart.runs.history import History
from rampart.runs.lock import writer_of
from rampart.runs.run_folder import RunFolder
from rampart.training.checkpoint import CheckpointStore

WEIGHTS = ("pth", "pt", "bin", "ckpt", "pth.tar", "safetensors")
PROGRAMS = ("onnx", "pt2", "torchscript")


def _model(path):
    return load_model(str(path), image_size=16)


#: By the name of a file, what reads it.
READERS = {
    **{f"weights.{ending}": read_weights for ending in WEIGHTS},
    **{f"model.{ending}": _model for ending in PROGRAMS},
    "step-00000001/optimizer.pt": lambda path: CheckpointStore(path.parents[1]).latest(),
    "step-00000001/state.json": lambda path: CheckpointStore(path.parents[1]).latest(),
    "step-00000001/model.safetensors": lambda path: CheckpointStore(path.parents[1]).latest(),
    "checksums.json": lambda path: read_checked(path, "restore it"),
    "run.json": lambda path: RunFolder(path.parent).facts(),
    "config.yaml": load_config,
    "history.jsonl": lambda path: History(path).rows(),
    "writer.lock": lambda path: writer_of(path.parent),
    "record/record.json": lambda path: load_record(path.parent),
    "samples.parquet": lambda path: read_columns(path, {"label": INTEGER}),
    "notes.parquet": read_notes,
    "part.parquet": read_results,
    "partial/identity.json": lambda path: PartialResults(path.parent, {}),
    "comparison.json": lambda path: require_own_comparison(path.parent, ["run"]),
    "run/model/config.json": lambda path: read_description(RunFolder(path.parents[1])),
    "timm/config.json": lambda path: find_source(f"local-dir:{path.parent}", None),
    "other/config.json": lambda path: load_model(str(path.parent), image_size=16),
    "labels.csv": lambda path: load_table(path, Request(str(path), Decode(16))),
    "labels.parquet": lambda path: load_table(path, Request(str(path), Decode(16))),
    "photos.tar": read_tree,
    "folder/shard.tar": lambda path: shards_of(path.parent),
    "shard.tar": lambda path: load_shards(path, [path], Request(str(path), Decode(16))),
    "photo.png": lambda path: ImageFile(path).read(),
    "splits.json": read_split_file,
    "ids.txt": read_ids,
    "study.yaml": load_study,
    "search/spent.json": lambda path: read_spent(path.parent),
    "search/search.json": lambda path: read_search(path.parent),
    "any": checksum,
}


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


def _read(name, path):
    """Read a file; every error is one of Rampart, or of the system with its reason."""
    with suppress(RampartError, OSError):
        READERS[name](path)


@pytest.fixture
def place(tmp_path, request):
    path = tmp_path / request.param
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name.startswith("step-"):
        for name in ("optimizer.pt", "state.json", "model.safetensors"):
            (path.parent / name).write_bytes(b"")
    return request.param, path


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", READERS, indirect=True)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read(place, kind):
    name, path = place
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    _read(name, path)


@pytest.mark.parametrize("place", READERS, indirect=True)
@pytest.mark.parametrize("saved", ["pickle", "torch", "torch legacy"])
def test_no_reader_runs_a_pickle(place, saved, tmp_path):
    name, path = place
    marker = tmp_path / "has run"
    bomb = {"state_dict": Bomb(marker), "marker": "x"}
    if saved == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=saved == "torch")
    _read(name, path)
    assert not marker.exists()


def test_the_bomb_would_explode(tmp_path):
    marker = tmp_path / "has run"
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists()
