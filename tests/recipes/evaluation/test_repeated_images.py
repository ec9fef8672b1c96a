"""An image that is evaluated more than once is counted and named, by both doors."""

import shutil

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import rampart
from rampart.cli.console import print_evaluation
from rampart.errors import RampartWarning
from rampart.recipes.evaluation.evaluate_named import evaluate_model, evaluate_run
from rampart.records.summary import summary
from rampart.reports.headline import spell_images

FEW = ("evaluation.checks=false", "evaluation.attack.steps=1")
SETTINGS = {"eps": "2/255", "attack": {"name": "apgd", "steps": 1}, "checks": False}
IMAGES, LABELS = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6)
ROWS = [0, 1, 2, 3, 4, 5, 2, 2]


class Items(Dataset):
    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return IMAGES[ROWS[index]], int(LABELS[ROWS[index]])


def logits(images):
    return images.flatten(1)[:, :6]


def kinds():
    """The same eight images, two of which are the third one again."""
    once = TensorDataset(IMAGES, LABELS)
    return {
        "subset": Subset(once, ROWS),
        "tensors": (IMAGES[ROWS], LABELS[ROWS]),
        "loader": DataLoader(Subset(once, ROWS), batch_size=3),
        "dataset": Items(),
        "batches": [(IMAGES[ROWS][:4], LABELS[ROWS][:4]), (IMAGES[ROWS][4:], LABELS[ROWS][4:])],
    }


@pytest.mark.parametrize("kind", kinds())
def test_repeated_images_in_python(kind):
    with pytest.warns(RampartWarning, match="copies of other evaluated images: 2 of 8"):
        result = rampart.evaluate(logits, kinds()[kind], **SETTINGS)
    assert result.metadata["data"]["copies"] == 2
    assert "8 images (2 are copies of others)" in repr(result)


def test_images_that_all_differ_are_not_named():
    result = rampart.evaluate(logits, TensorDataset(IMAGES, LABELS), **SETTINGS)
    assert result.metadata["data"]["copies"] == 0
    assert spell_images(summary(result)) == "6 images"


@pytest.fixture
def repeated(make_photos):
    """A test folder of nine images, one of which is a copy."""
    folder = make_photos("test")
    for name in ("1.png", "2.png"):
        shutil.copy(folder / "test/blue/0.png", folder / "test/blue" / name)
    return folder


@pytest.mark.parametrize("cache", ["auto", "false"])
def test_repeated_images_of_a_folder(run, network, repeated, tmp_path, cache, capsys):
    settings = (f"data={repeated}", f"data.cache={cache}", *FEW)
    _, of_run = evaluate_run(run.path, settings)
    reference, own = network
    own = [text for text in own if not text.startswith("data=")]
    folder, of_model = evaluate_model(reference, (*own, *settings[:2]), tmp_path / "evaluation")
    for record in (of_run, of_model):
        assert record.metadata["data"]["copies"] == 2
        (warning,) = record.metadata["data"]["warnings"]
        assert "2 of 9 images" in warning
        assert "test/blue/1.png is a copy of test/blue/0.png" in warning
    print_evaluation(folder, of_model)
    printed = capsys.readouterr().out
    assert "9 images (2 are copies of others)" in printed
    assert f"warning: {warning}" in printed


def test_only_the_evaluated_images_count(run, repeated, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("test/blue/0.png\ntest/red/1.png\n")
    settings = (f"data={repeated}", f"evaluation.ids={names}", *FEW)
    _, record = evaluate_run(run.path, settings)
    assert record.metadata["data"]["copies"] == 0
