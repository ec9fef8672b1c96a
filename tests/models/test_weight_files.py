import argparse
import pickle
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from rampart.errors import ModelError, RampartWarning
from rampart.models.weight_files import CONTAINERS, read_weights

WEIGHTS = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.ones(2)}
OTHER = {"layer.weight": torch.zeros(2, 3), "layer.bias": torch.zeros(2)}


def equal(one, other):
    return one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar"])
def test_every_ending(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    (save_file if ending == ".safetensors" else torch.save)(WEIGHTS, path)
    assert equal(read_weights(path), WEIGHTS)


@pytest.mark.parametrize("key", CONTAINERS)
def test_every_container_of_a_checkpoint(path, key):
    torch.save({"epoch": 3, "arch": "resnet", "optimizer": {"lr": 0.1}, key: WEIGHTS}, path)
    assert equal(read_weights(path), WEIGHTS)


def test_containers_inside_each_other_and_plain_values_beside_tensors(path):
    torch.save({"model": {"state_dict": {**WEIGHTS, "version": 2}}}, path)
    assert equal(read_weights(path), WEIGHTS)


def test_a_checkpoint_of_lightning(path):
    checkpoint = {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": WEIGHTS,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_path": "a.ckpt"}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(checkpoint, path)
    assert equal(read_weights(path), WEIGHTS)


@pytest.mark.parametrize(
    ("average", "plain"), [("state_dict_ema", "state_dict"), ("model_ema", "model")]
)
def test_an_average_beside_plain_weights_is_taken_and_named(path, average, plain):
    torch.save({plain: OTHER, average: WEIGHTS}, path)
    with pytest.warns(RampartWarning, match=f"{average} was taken"):
        assert equal(read_weights(path), WEIGHTS)


def test_the_old_format_of_torch(path):
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    assert equal(read_weights(path), WEIGHTS)


def torch_bytes(content, tmp_path, **options):
    torch.save(content, tmp_path / "whole", **options)
    return (tmp_path / "whole").read_bytes()


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def npz(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros(3))
    return (tmp_path / "a.npz").read_bytes()


def npy(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    return (tmp_path / "a.npy").read_bytes()


def program(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(tmp_path / "a.ts")
    return (tmp_path / "a.ts").read_bytes()


def old(tmp_path):
    return torch_bytes(WEIGHTS, tmp_path, _use_new_zipfile_serialization=False)


NO_WEIGHTS = {
    "empty": (lambda _: b"", "empty"),
    "pointer": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "page": (lambda _: b"\n<!DOCTYPE html>\n<html></html>", "web page"),
    "text": (lambda _: b"hello there\n", "text"),
    "answer": (lambda _: b'{"message": "Not found"}', "text"),
    "cut": (lambda path: torch_bytes(WEIGHTS, path)[:-40], "cut or damaged"),
    "short": (lambda path: torch_bytes(WEIGHTS, path)[:60], "cut or damaged"),
    "old cut": (lambda path: old(path)[:-8], "cut or damaged"),
    "old short": (lambda path: old(path)[:30], "cut or damaged"),
    "noise": (lambda _: bytes(range(255, 0, -1)), "cut or damaged"),
    "namespace": (
        lambda path: torch_bytes({"model": WEIGHTS, "args": argparse.Namespace(lr=1)}, path),
        r"argparse\.Namespace",
    ),
    "module": (lambda path: torch_bytes(nn.Linear(3, 2), path), r"torch\.nn.*Linear"),
    "code": (lambda path: torch_bytes({"a": Trap()}, path), "_pytest"),
    "arrays": (lambda path: torch_bytes({"a": np.zeros(3)}, path), "numpy"),
    "npz": (npz, "numpy"),
    "npy": (npy, "numpy"),
    "program": (program, "TorchScript"),
    "pickle": (lambda _: pickle.dumps({"a": 1}), "torch.save did not write"),
    "pickled trap": (lambda _: pickle.dumps(Trap()), "torch.save did not write"),
    "other protocol": (
        lambda path: torch_bytes({"a": argparse.Namespace()}, path, pickle_protocol=4),
        "protocol",
    ),
    "safetensors": (lambda _: save(WEIGHTS), "rename it to .safetensors"),
    "tensor": (lambda path: torch_bytes(torch.zeros(3), path), "no state_dict"),
    "list": (lambda path: torch_bytes([torch.zeros(3)], path), "no state_dict"),
    "nothing": (lambda path: torch_bytes({}, path), "no state_dict"),
    "numbers": (lambda path: torch_bytes({0: torch.zeros(3)}, path), "no state_dict"),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_a_file_that_holds_no_weights_is_refused_in_our_words(kind, path, tmp_path):
    make, why = NO_WEIGHTS[kind]
    path.write_bytes(make(tmp_path))
    with pytest.raises(ModelError, match=why) as error:
        read_weights(path)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    assert "weights_only" not in text


@pytest.mark.parametrize("kind", ["empty", "pointer", "page", "text", "cut"])
def test_a_safetensors_file_that_holds_no_weights(kind, tmp_path):
    make, why = NO_WEIGHTS[kind]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(save(WEIGHTS)[:-5] if kind == "cut" else make(tmp_path))
    with pytest.raises(ModelError, match=why):
        read_weights(path)
    path.write_bytes(torch_bytes(WEIGHTS, tmp_path))
    with pytest.raises(ModelError, match="rename it to .pth"):
        read_weights(path)


def test_a_folder_or_a_missing_file(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.pth"):
        with pytest.raises(ModelError, match="gives the error"):
            read_weights(path)
