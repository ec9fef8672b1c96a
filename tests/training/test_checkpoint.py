import pytest
import torch

from rampart.errors import RunError
from rampart.training.checkpoint import Checkpoint, CheckpointStore


def checkpoint(step):
    return Checkpoint(
        step=step,
        model={"weight": torch.full((2, 3), float(step)), "count": torch.tensor(step)},
        optimizer={"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}},
        state={"progress": {"epoch": step}},
    )


def test_round_trip_and_only_the_newest_is_kept(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.latest() is None
    for step in (3, 20):
        store.save(checkpoint(step))
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 20
    assert loaded.state == {"progress": {"epoch": 20}}
    assert torch.equal(loaded.model["weight"], torch.full((2, 3), 20.0))
    assert torch.equal(loaded.optimizer["optimizer"]["state"][0]["exp_avg"], torch.ones(2))
    assert [p.name for p in store.folder.iterdir()] == ["step-00000020"]


def test_an_unfinished_write_is_not_a_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    unfinished = tmp_path / ".step-00000002.17.tmp"
    unfinished.mkdir()
    (unfinished / "model.safetensors").touch()
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 1
    store.save(checkpoint(3))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000003"]


def test_saving_the_same_step_again(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    store.save(checkpoint(1))
    assert len(list(tmp_path.iterdir())) == 1


def test_damage_is_reported_with_the_folder(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    (tmp_path / "step-00000001" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError, match="step-00000001.* --overwrite"):
        store.latest()


def test_a_full_disk_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))

    def full(*arguments):
        raise RuntimeError("PytorchStreamWriter failed: no space")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="step-00000002 .* --resume"):
        store.save(checkpoint(2))
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_a_crash_while_a_step_is_saved_again_leaves_a_checkpoint(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    whole = type(tmp_path).replace

    def crash(self, target):
        if self.name.startswith(".step"):
            raise KeyboardInterrupt
        return whole(self, target)

    monkeypatch.setattr(type(tmp_path), "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        store.save(checkpoint(1))
    monkeypatch.undo()
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 1
    store.save(checkpoint(1))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
