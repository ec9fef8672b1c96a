"""Models by name from a hub: downloaded, cached, pinned, gated, missing."""

from contextlib import contextmanager

import pytest
import timm
import torch

from local_hub import files_in
from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.progress.work import showing


@pytest.fixture
def files(tmp_path):
    """The files of a tiny model in timm's format, and its weights."""

    def make(seed):
        torch.manual_seed(seed)
        model = timm.create_model("test_resnet", num_classes=5)
        folder = tmp_path / f"model{seed}"
        timm.models.save_for_hf(model, folder, safe_serialization=True)
        return files_in(folder), next(model.parameters()).detach()

    with torch.random.fork_rng():
        yield make


def stem(name):
    with torch.random.fork_rng():
        module = build_model(name, num_classes=3)
    return next(iter(module.parameters())).detach()


def test_a_model_by_name(local_hub, files):
    content, weight = files(0)
    local_hub.add("someone/tiny", content)
    assert torch.equal(stem("hf-hub:someone/tiny"), weight)
    assert sorted(local_hub.downloads()) == ["config.json", "model.safetensors"]
    local_hub.close()
    assert torch.equal(stem("hf-hub:someone/tiny"), weight), "from the cache, without the hub"


class Recording:
    """A display that notes each piece of work and how far it came."""

    def __init__(self):
        self.seen = {}

    def tell(self, text):
        raise AssertionError(text)

    @contextmanager
    def begin(self, work):
        yield lambda done, note="": self.seen.update({work.name: (done, work.total, work.unit)})


def test_a_download_is_shown_on_our_display(local_hub, files, capfd):
    content, _ = files(0)
    local_hub.add("someone/shown", content)
    display = Recording()
    with showing(display):
        stem("hf-hub:someone/shown")
    megabytes = len(content["model.safetensors"]) / 1e6
    assert display.seen["model.safetensors"] == (pytest.approx(megabytes), 2, "megabyte")
    assert capfd.readouterr().err == ""


def test_a_model_pinned_to_a_revision(local_hub, files):
    (old, weight), (new, other) = files(0), files(1)
    revision = local_hub.add("someone/tiny", old)
    local_hub.add("someone/tiny", new)
    assert torch.equal(stem(f"hf-hub:someone/tiny@{revision}"), weight)
    assert torch.equal(stem("hf-hub:someone/tiny"), other)


def test_missing_and_gated_models_are_refused(local_hub, files):
    local_hub.add("someone/gated", files(0)[0], gated=True)
    for name in ("hf-hub:someone/gated", "hf-hub:someone/missing"):
        with pytest.raises(ModelError, match=name):
            build_model(name, num_classes=3)
