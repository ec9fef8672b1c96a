"""`rampart.finetune` on tiny models and data."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rampart
from rampart.api.finetune import SECTIONS
from rampart.api.keywords import FinetuneSettings
from rampart.api.training_data import training_splits
from rampart.errors import (
    DataError,
    InvalidArgument,
    ModelError,
    RampartWarning,
    RunError,
    UnknownName,
)
from rampart.recipes.config.loading import parse_config
from rampart.runtime import scoped_seed
from rampart.schema.fields import RunFields

OPTIONS = {
    "epochs": 2,
    "batch_size": 8,
    "schedule": "two-hinge",
    "attack": rampart.Apgd(steps=2),
    "evaluation": {"attack": rampart.Apgd(steps=2), "checks": False},
    "monitors": False,
    "progress": False,
}
GLYPHNET = {
    "name": "rampart_glyphnet",
    "pretrained": False,
    "options": {"norm": "group", "in_chans": 3},
}


def finetune(model, data, output, **options):
    return rampart.finetune(model, data, "2/255", output=output, **{**OPTIONS, **options})


def images_of(count, seed):
    """Images (N, 3, 8, 8) whose mean color tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 120, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), labels] += 100
    return TensorDataset(images, labels)


PARTS = (images_of(24, 0), DataLoader(images_of(9, 1), batch_size=4), images_of(12, 2))


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        with scoped_seed(0):
            self.conv = nn.Conv2d(3, 6, 3, padding=1)
            self.norm = nn.BatchNorm2d(6)
            self.fc = nn.Linear(6, classes)

    def forward(self, images):
        return self.fc(self.norm(self.conv(images)).relu().mean((2, 3)))


def test_a_named_model_on_a_folder_is_the_run_of_the_command(photo_folder, tiny_settings, tmp_path):
    run = rampart.finetune(
        GLYPHNET | {"options": {"norm": "batch", "in_chans": 3}},
        photo_folder,
        "8/255",
        schedule="two-hinge",
        attack={"name": "apgd", "steps": 2},
        epochs=3,
        batch_size=8,
        image_size=16,
        backbone_lr=1e-3,
        evaluation={"attack": {"name": "apgd", "steps": 3}, "checks": False},
        output=tmp_path / "door",
        progress=False,
        monitors=False,
    )
    config = rampart.load_config(None, [*tiny_settings, "evaluation.checks=false"])
    folder = rampart.train_run(config, tmp_path / "command")
    _, record = rampart.evaluate_run(folder.path)
    same = rampart.load_run(folder.path)
    for key, value in run.model.state_dict().items():
        assert value.equal(same.model.state_dict()[key]), key
    assert (run.evaluation.critical == record.critical).all()
    assert run.evaluation.ids == record.ids


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_module_on_datasets(parts, tmp_path):
    module = Net()
    before = copy.deepcopy(module.state_dict())
    data = PARTS[:parts] if parts > 1 else images_of(40, 0)
    run = finetune(module, data, tmp_path / "run", head_lr=0.05)
    assert all(value.equal(before[key]) for key, value in module.state_dict().items())
    assert not run.model.training
    assert len(run.history) == 2
    assert run.class_names == ("0", "1", "2")
    assert run.evaluation.metadata["split"] == "test"
    if parts == 3:
        assert len(run.evaluation) == 12
    logits = run.model(torch.rand(2, 3, 8, 8))
    assert logits.shape == (2, 3)
    assert "clean" in repr(run)

    again = rampart.load_run(tmp_path / "run", Net())
    assert repr(again) == repr(run)
    for key, value in run.model.state_dict().items():
        assert value.equal(again.model.state_dict()[key]), key


def test_the_returned_model_is_the_evaluated_one(tmp_path):
    run = finetune(Net(), PARTS, tmp_path / "run")
    predictions = run.model(PARTS[2].tensors[0] / 255).argmax(1)
    assert run.evaluation.predictions.tolist() == predictions.tolist()
    result = rampart.evaluate(run.model, PARTS[2], "2/255", rampart.Apgd(steps=2), checks=False)
    assert result.ids == run.evaluation.ids
    assert (result.critical == run.evaluation.critical).all()


def test_a_run_of_a_module_resumes_exactly(tmp_path):
    from tests.checked_files import replace_text
    from tests.recipes.test_recipes_train import StopAfter

    from rampart.api import finetune as door
    from rampart.training.interrupts import Interrupted

    whole = finetune(Net(), PARTS, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "_Quiet", lambda: StopAfter(4))
        with pytest.raises(Interrupted):
            finetune(Net(), PARTS, tmp_path / "run")
    run = finetune(Net(), PARTS, tmp_path / "run", resume=True)
    for key, value in whole.model.state_dict().items():
        assert value.equal(run.model.state_dict()[key]), key
    file = run.path / "run.json"
    replace_text(file, "complete", "interrupted")
    with pytest.raises(RunError, match="data"):
        finetune(Net(), (images_of(24, 5), *PARTS[1:]), run.path, resume=True)


def test_a_finished_run_refuses_other_data(tmp_path):
    finetune(Net(), PARTS, tmp_path / "run")
    other = (images_of(24, 5), *PARTS[1:])
    with pytest.raises(RunError, match="data differ"):
        finetune(Net(), other, tmp_path / "run", resume=True)


KEYS_OF_FILES = {"root": "x", "splits": {"train": "x"}, "image_size": 16}


@pytest.mark.parametrize("key", KEYS_OF_FILES)
def test_keys_of_files_are_refused_with_objects(key, tmp_path):
    value = KEYS_OF_FILES[key]
    with pytest.raises(InvalidArgument, match=key):
        finetune(Net(), PARTS, tmp_path / "run", **{key: value})
    with pytest.raises(InvalidArgument, match=key):
        rampart.evaluate(Net().eval(), PARTS[2], "2/255", attack="apgd", **{key: value})


KEYS_OF_A_DRAW = {"test_fraction": 0.3, "validation_fraction": 0.3, "validation": "drawn"}


@pytest.mark.parametrize("key", KEYS_OF_A_DRAW)
def test_keys_of_a_draw_are_refused_where_no_split_is_drawn(key, tmp_path):
    three = training_splits(PARTS, Net(), parse_config({"model": "own", "data": "parts"}))
    value = KEYS_OF_A_DRAW[key]
    with pytest.raises(InvalidArgument, match=f"^{key}="):
        finetune(Net(), three, tmp_path / "run", **{key: value})
    with pytest.raises(InvalidArgument, match=f"^{key}="):
        rampart.evaluate(Net().eval(), PARTS[2], "2/255", attack="apgd", **{key: value})


@pytest.mark.parametrize("key", KEYS_OF_FILES)
def test_keys_of_files_are_refused_with_splits(key, tmp_path):
    three = training_splits(PARTS, Net(), parse_config({"model": "own", "data": "parts"}))
    with pytest.raises(InvalidArgument, match=key):
        finetune(Net(), three, tmp_path / "run", **{key: KEYS_OF_FILES[key]})


def test_a_network_of_timm_is_saved_as_timm_loads_it(tmp_path):
    module = timm.create_model("rampart_glyphnet", num_classes=3, in_chans=3)
    wide = [TensorDataset(*(t for t in _resized(part))) for part in (PARTS[0], PARTS[1].dataset)]
    with pytest.raises(InvalidArgument, match="mean"):
        finetune(module, tuple(wide), tmp_path / "bare")
    mean, std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
    run = finetune(module, tuple(wide), tmp_path / "run", mean=mean, std=std, test_fraction=0.3)
    loaded = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True).eval()
    images = torch.rand(2, 3, 16, 16)
    assert torch.allclose(loaded((images - 0.5) / 0.2), run.model(images), atol=1e-5)
    assert rampart.load_run(run.path).class_names == ("0", "1", "2")


def _resized(dataset):
    images, labels = dataset.tensors
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3), labels


def test_the_command_refers_to_python_for_such_a_run(tmp_path):
    run = finetune(Net(), PARTS, tmp_path / "run", evaluate=False)
    assert run.evaluation is None
    with pytest.raises(ModelError, match="load_run"):
        rampart.evaluate_run(run.path)
    with pytest.raises(ModelError, match="load_run"):
        rampart.load_run(run.path)
    with pytest.raises(ModelError, match="fc"):
        rampart.load_run(run.path, Net(classes=4))


class Stateful(Net):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


class Locked(Net):
    def __deepcopy__(self, memo):
        raise TypeError("a lock")


REFUSED = {
    "^model=.*wrap": lambda: (lambda images: images.mean((2, 3)), PARTS),
    "^model=None": lambda: (None, PARTS),
    "^model=.*object of the class": lambda: (Net, PARTS),
    "TorchScript": lambda: (torch.jit.trace(nn.Flatten(), torch.rand(2, 3, 8, 8)), PARTS),
    "no weights to train": lambda: (Net().requires_grad_(False), PARTS),
    "4": lambda: (Net(classes=4), PARTS),
    "extra_state": lambda: (Stateful(), PARTS),
    "lock": lambda: (Locked(), PARTS),
    "image_size": lambda: (Net(), "photos"),
    "parts": lambda: (Net(), (*PARTS, PARTS[0])),
    "one folder": lambda: (Net(), ("photos", "photos")),
    "in a tuple": lambda: (Net(), (PARTS[0], "photos")),
    "^train=a TensorDataset": lambda: (Net(), {"train": PARTS[0], "test": PARTS[2]}),
    "^name=a tuple": lambda: (Net(), {"name": PARTS[0].tensors, "seed": 1}),
    "train": lambda: (Net(), (PARTS[0], images_of(9, 1), TensorDataset(*_resized(PARTS[0])))),
    "squares": lambda: (Net(), TensorDataset(PARTS[0].tensors[0][:, :, :4], PARTS[0].tensors[1])),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("reason", REFUSED)
def test_invalid_models_and_data_are_refused_before_the_first_step(reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    model, data = REFUSED[reason]()
    with pytest.raises((ModelError, DataError, InvalidArgument), match=reason):
        finetune(model, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_an_output_nothing_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [finetune(Net(), PARTS, None, epochs=1, evaluate=False).path for _ in range(2)]
    assert [str(path) for path in paths] == ["runs/Net-TensorDataset", "runs/Net-TensorDataset-2"]
    with pytest.raises(RunError, match="exists"):
        finetune(Net(), PARTS, paths[0])


def test_every_keyword_is_a_key_of_the_configuration():
    typed = set(FinetuneSettings.__optional_keys__)
    direct = set(rampart.finetune.__kwdefaults__)
    assert not typed & direct
    keys = {
        section: set(RunFields.model_fields[section].annotation.model_fields)
        for section in SECTIONS
    }
    # The model and the data have their own names and options.
    wanted = set().union(*keys.values()) - {"name", "options"}
    wanted |= {"objective", "strategies", "callbacks", "evaluation"}
    assert wanted <= typed | direct
    assert typed <= wanted | {"seed"}


def test_a_misspelled_keyword_gets_the_nearest_ones(tmp_path):
    with pytest.raises(UnknownName, match="epochs"):
        finetune(Net(), PARTS, tmp_path / "run", epoch=3)
    with pytest.raises(InvalidArgument, match="image_size"):
        finetune(Net(), {"name": "digit-pairs", "image_size": 16}, tmp_path, image_size=8)


@pytest.mark.parametrize(
    ("keyword", "says"),
    [
        ("model_options", r'write model=.*"options": ...'),
        ("data_options", r'write data=.*"options": ...'),
        ("options", r'write model=.*"options".* or data=.*"options"'),
        ("training_epochs", "write epochs"),
        ("evaluation_limit", r'write evaluation=.*"limit": ...'),
        ("limit", r'write evaluation=.*"limit": ...'),
        pytest.param(
            "optimizer",
            "give its keys, such as opt, backbone_lr",
            id="optimizer-give its keys, such as backbone_lr",
        ),
        ("threat", "write norm and eps"),
        ("lr", "write backbone_lr and head_lr"),
        ("epsilon", "write eps"),
        ("steps", r"write attack=.*\"steps\": ..."),
    ],
)
def test_a_keyword_with_its_section_is_answered_with_what_to_write(tmp_path, keyword, says):
    with pytest.raises(UnknownName, match=says):
        finetune(Net(), PARTS, tmp_path / "run", **{keyword: 3})


def test_parts_are_named_described_or_given(tmp_path):
    from rampart.training.callbacks.ema import Ema

    run = finetune(
        Net(),
        PARTS,
        tmp_path / "run",
        epochs=1,
        evaluate=False,
        objective=rampart.Trades(beta=3.0),
        callbacks=[Ema(decay=0.5)],
        strategies=["linear-probe"],
        schedule={"name": "fix", "interval": "epoch"},
    )
    config = run.config
    assert (config.objective.name, config.objective.options["beta"]) == ("trades", 3.0)
    assert config.callbacks[0].options == {"decay": 0.5} | config.callbacks[0].options
    assert config.schedule.interval == "epoch"
    start, end = Net().state_dict(), run.model.backbone.module.state_dict()
    assert end["conv.weight"].equal(start["conv.weight"])
    assert not end["fc.weight"].equal(start["fc.weight"])


def test_an_alert_of_a_monitor_is_a_warning(tmp_path):
    with pytest.warns(RampartWarning):
        finetune(Net(), PARTS, tmp_path / "run", monitors=True, head_lr=0.0, backbone_lr=0.0)


def test_progress_is_printed_on_request(tmp_path, capsys):
    finetune(Net(), PARTS[:2], tmp_path / "run", progress=True, evaluate=False)
    printed = capsys.readouterr().out
    assert printed.count("epoch") == 2
    assert "no test split" in printed
