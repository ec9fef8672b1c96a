"""Model and data by name from a hub, through the command."""

import json

import pytest
import timm
import torch

from local_hub import files_in


@pytest.fixture
def tiny_model(tmp_path, local_hub):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=5)
    timm.models.save_for_hf(model, tmp_path / "model", safe_serialization=True)
    local_hub.add("someone/tiny", files_in(tmp_path / "model"))
    return "hf-hub:someone/tiny"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_run_with_names_only_and_again_without_the_hub(rampart, cub, tiny_model, tmp_path):
    def train(folder):
        result = rampart(
            *("train", f"model={tiny_model}", "data=cub200", "data.image_size=32"),
            *("schedule=fix", "training.epochs=1", "training.batch_size=8"),
            *("attack.steps=1", "evaluation.attack.steps=2", "-o", tmp_path / folder),
        )
        assert result.status == 0, result.err
        assert "cub200 is read from hfds/Donghyun99/CUB-200-2011" in result.out
        history = json.loads((tmp_path / folder / "history.jsonl").read_text().splitlines()[-1])
        return history["train_loss"]

    first = train("first")
    cub.close()
    assert train("second") == first
