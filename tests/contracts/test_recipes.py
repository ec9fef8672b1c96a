"""The recipes in configs/ build, say where each value comes from, and agree with each other."""

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.contracts.recipes import (
    CONFIGS,
    END,
    GUIDE,
    MARKED,
    METHODS,
    NAMES,
    START,
    lines_of,
    recipe,
    table,
    unmarked,
)
from tests.contracts.tables import with_table

from rampart.experiments.loading import load_study
from rampart.published import published_results, tuned_settings
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.build import make_run, make_start
from rampart.recipes.config.loading import dump_config, load_config, parse_config
from rampart.recipes.splits import make_splits
from rampart.runs.run_folder import RunFolder
from rampart.training.reporting import Silent
from rampart.training.step import train_batch

STUDIES = [file for file in MARKED if file.name != "recipe.yaml" and file not in METHODS]


#: The six of the publication, and the robust four.
BACKBONES = ("vit", "swin", "convnext", "resnet50", "clip_vit", "clip_convnext")
BACKBONES += ("robust_vit", "robust_swin", "robust_convnext", "robust_resnet50")


def study_of(name):
    return load_study(CONFIGS / name)


@pytest.mark.parametrize("file", MARKED, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_value_is_marked_as_read_or_inferred(file):
    assert unmarked(file.read_text(encoding="utf-8")) == []


def test_a_value_without_a_mark_is_found():
    planted = "data:\n  resize: crop\n  seed: 0  # guessed\n  flip: 0.5  # read: the paper\n"
    assert unmarked(planted) == ["  resize: crop", "  seed: 0  # guessed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_reads_line_by_line_as_yaml_does(name):
    text = recipe(name).read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    lines = list(lines_of(text))
    assert len(lines) > 25
    for line in lines:
        value = tree
        for key in line.key.split("."):
            value = value[key]
        assert value == yaml.safe_load(line.value), line.key
    assert len({line.key for line in lines}) == len(lines)
    load_config(recipe(name), ["model=resnet50.a1_in1k", "data=cars"])


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_base_of_a_study_is_the_recipe_beside_it(file):
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert study["base"] == yaml.safe_load(recipe(file.parent.name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", METHODS, ids=lambda file: file.stem)
def test_a_recipe_of_another_method_is_complete_and_takes_our_schedule(file):
    text = file.read_text(encoding="utf-8")
    assert len(list(lines_of(text))) > 25
    words = ["model.name=resnet50.a1_in1k", "data=cub200"]
    config = load_config(file, words)
    assert config.schedule.name == "fix"
    assert load_config(file, [*words, "schedule=adaptive"]).components.schedule.needs_accuracy
    # A key that is left out would follow the defaults when they change.
    stated = {line.key for line in lines_of(text)}
    for key in ("optimizer.opt", "optimizer.warmup", "optimizer.lr_schedule", "training.epochs"):
        assert key in stated, key


def test_ours_are_the_defaults():
    words = ["model=resnet50.a1_in1k", "data=cars"]
    ours = dump_config(load_config(recipe("ours"), words))
    assert ours == dump_config(load_config(None, words))


def test_the_table_of_the_guide_is_that_of_the_files():
    text = GUIDE.read_text(encoding="utf-8")
    assert with_table(text, table(), START, END) == text


def cells(study):
    """Backbone, dataset, eps, method of each run of the first seed."""
    return {
        (*(task.coordinates[axis] for axis in ("backbone", "dataset", "eps")), method)
        for task, method, seed in study.runs()
        if seed == study.seeds[0]
    }


@pytest.mark.parametrize(
    ("name", "tables", "runs"),
    [
        ("published/study.yaml", (1, 2, 4, 8), 145),
        ("published/robust.yaml", (3,), 40),
        ("published/imagenette.yaml", (12,), 8),
    ],
)
def test_a_published_study_has_the_cells_of_its_tables(name, tables, runs):
    published = {
        (one.backbone, one.dataset, f"{round(255 * one.eps)}/255", one.schedule)
        for one in published_results()
        if one.table in tables
    }
    study = study_of(name)
    assert cells(study) == published
    assert len(published) == runs
    for task, method, seed in study.runs():
        assert study.config(task, method, seed).schedule.name == method


def test_the_sensitivity_study_has_the_cells_of_table_7():
    published = {
        (round(255 * one.eps), one.start, one.end) for one in published_results() if one.table == 7
    }
    study = study_of("published/sensitivity.yaml")
    found = set()
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        schedule = config.schedule.options
        found.add((round(255 * config.threat.eps), schedule["start"], schedule["end"]))
    assert found == published
    assert len(found) == 30


@pytest.mark.parametrize("name", ["published/study.yaml", "benchmark/study.yaml"])
def test_tuned_rates_are_used_where_they_are_published(name):
    study = study_of(name)
    known = {(one.backbone, one.dataset, one.objective): one for one in tuned_settings()}
    compared = 0
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        cell = (task.coordinates["backbone"], task.coordinates["dataset"], config.objective.name)
        if (one := known.get(cell)) is None:
            continue
        optimizer = config.optimizer
        assert (optimizer.backbone_lr, optimizer.head_lr) == (one.backbone_lr, one.head_lr), cell
        decays = (optimizer.backbone_weight_decay, optimizer.head_weight_decay)
        assert decays == (one.backbone_weight_decay, one.head_weight_decay), cell
        if name.startswith("benchmark"):
            course = "cosine" if one.cosine else "constant"
            assert optimizer.lr_schedule == course, cell
        compared += 1
    assert compared >= 48


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with three classes of wide pictures."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for label in "abc":
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def take_a_step(config, pictures, tmp_path, *settings):
    """Train one step of a configuration with random weights, in fp32 on four pictures."""
    small = {
        "data.name": str(pictures),
        "model.pretrained": False,
        "training.batch_size": 4,
        "training.gradient_accumulation_steps": 2,
        "training.precision": "fp32",
        "training.monitors": False,
        "training.device": "cpu",
        "evaluation.limit": 4,
    }
    own = {setting.partition("=")[0] for setting in settings}
    changed = [f"{key}={value}" for key, value in small.items() if key not in own]
    config = parse_config(dump_config(config), [*changed, *settings])
    splits = make_splits(config)
    accelerator = make_accelerator(config)
    run = make_run(
        config,
        RunFolder(tmp_path / "run"),
        splits,
        accelerator,
        Silent(),
        lambda: make_start(config, splits),
    )
    before = [p.detach().clone() for p in run.bare_model.parameters()]
    train_batch(run, next(iter(run.batches(0, 0))))
    moved = [
        not one.equal(two) for one, two in zip(before, run.bare_model.parameters(), strict=True)
    ]
    # ResNet-50 begins with residual branches of zero, so many of its gradients are 0.
    assert sum(moved) > len(moved) / 4
    return run


#: Small networks of the families of the backbones.
SWIN = "{embed_dim: 8, depths: [1, 1], num_heads: [1, 2], window_size: 4}"
SMALL = {
    "vit": ["model.name=test_vit"],
    "convnext": ["model.name=test_convnext"],
    "resnet50": ["model.name=test_resnet"],
    "swin": ["model.name=swin_tiny_patch4_window7_224", f"model.options={SWIN}"],
}


def small_network(backbone):
    """Settings of a small network in place of a backbone."""
    return SMALL[backbone.rpartition("_")[2]]


@pytest.mark.slow
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_configuration_takes_a_step_with_a_small_network(file, pictures, tmp_path):
    study = load_study(file)
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        settings = [*small_network(task.coordinates["backbone"]), "data.image_size=32"]
        for key in ("mean", "std"):
            if values := getattr(config.model, key):
                settings.append(f"model.{key}={list(values)}")
        take_a_step(config, pictures, tmp_path, *settings, "attack.steps=2")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_takes_an_attacked_step_at_224(backbone, pictures, tmp_path):
    study = study_of(f"published/{'robust' if backbone.startswith('robust_') else 'study'}.yaml")
    task = next(task for task in study.tasks if task.coordinates["backbone"] == backbone)
    config = study.config(task, "fix", study.seeds[0])
    fewer = ["attack.steps=1", "training.batch_size=2", "training.gradient_accumulation_steps=1"]
    run = take_a_step(config, pictures, tmp_path, *fewer)
    assert run.progress.used["eps"] == config.threat.eps
    assert run.bare_model.image_size == 224
