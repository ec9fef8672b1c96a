"""`rampart.evaluate` on tiny models and data."""

import copy
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from tests.oracles import linear_critical_eps
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import rampart
from rampart.errors import (
    InvalidArgument,
    ModelError,
    RampartError,
    RampartWarning,
    RunError,
    UnknownName,
)
from rampart.models.normalized import NormalizedModel
from rampart.runtime import scoped_seed


@pytest.fixture(scope="module")
def task():
    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(75, 4)).train()
        images = (torch.rand(30, 3, 5, 5) * 255).round() / 255
        return model, images, model(images).argmax(1)


def evaluate(task, data=None, **options):
    model, images, labels = task
    options = {"eps": "8/255", "attack": "apgd", **options}
    return rampart.evaluate(model, data or (images, labels), **options)


def test_the_result_has_all_figures(task, tmp_path):
    result = evaluate(task)
    curve = result.curve()
    assert curve.eps == pytest.approx(np.arange(9) / 255)
    assert curve.accuracy[0] == result.clean == 1
    assert curve.accuracy[-1] == result.adversarial < 1
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()
    expected = result.expected()
    assert expected.value == pytest.approx(
        rampart.expected_robustness(result.critical, result.grid)
    )
    assert expected.low < expected.value < expected.high
    assert result.expected("beta:a=2,b=5") == result.expected(rampart.Beta(2, 5, 8 / 255))
    assert "30 images" in repr(result)
    assert len(result.plot(tmp_path / "curve.svg").axes) == 1
    assert (tmp_path / "curve.svg").exists()


def test_faults_of_the_data_are_warnings(task):
    _, images, labels = task
    twice = torch.cat([images, images[:1]]), torch.cat([labels, (labels[:1] + 1) % 4])
    with pytest.warns(RampartWarning) as caught:
        result = evaluate(task, twice, checks=False)
    contradiction, copy = (str(one.message) for one in caught)
    assert "with another label" in contradiction
    assert "1 of 31 images" in copy
    assert result.metadata["data"]["warnings"] == [contradiction, copy]


def test_critical_strengths_of_a_linear_model_are_exact(task):
    model, images, labels = task
    # Eight bits, and no pixel near the edge of the pixel box.
    images = (images * 200 + 20).round() / 255
    weight, bias = (part.detach() for part in model[1].parameters())
    critical = linear_critical_eps(weight, bias, images, labels, "linf")
    found = evaluate((model, images, labels), attack="short", checks=False)
    at = np.searchsorted(found.grid, critical.numpy())
    assert (found.critical >= at).all()
    assert (found.critical == at).mean() > 0.9


def test_every_form_of_the_data_gives_the_same_numbers(task):
    _, images, labels = task
    dataset = TensorDataset((images * 255).round().to(torch.uint8), labels)
    forms = {
        "tensors": (images, labels),
        "dataset": dataset,
        "loader": DataLoader(dataset, batch_size=7),
        "shuffled loader": DataLoader(dataset, batch_size=7, shuffle=True, drop_last=True),
        "batches": [(images[:11], labels[:11]), (images[11:], labels[11:])],
    }
    results = {name: evaluate(task, data, checks=False) for name, data in forms.items()}
    for name, result in results.items():
        assert result.ids == results["tensors"].ids, name
        assert (result.critical == results["tensors"].critical).all(), name
    split = rampart.Split.of_tensors(images, labels)
    assert (evaluate(task, split).critical == results["tensors"].critical).all()


def test_the_model_does_not_change(task):
    model, images, labels = task
    noisy = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), model)
    noisy[0].eval()
    before = {key: value.clone() for key, value in noisy.state_dict().items()}
    state = torch.get_rng_state()
    rampart.evaluate(noisy, (images, labels), "1/255", "apgd", checks=False)
    assert [part.training for part in noisy] == [False, True, True]
    assert all(value.equal(before[key]) for key, value in noisy.state_dict().items())
    assert torch.get_rng_state().equal(state)


def test_an_attack_is_named_described_or_given(task):
    options = {"checks": False}
    one = evaluate(task, attack=rampart.Apgd(steps=3), **options)
    same = evaluate(task, attack={"name": "apgd", "steps": 3}, **options)
    assert one.metadata["attack"] == same.metadata["attack"]
    assert one.metadata["attack"]["iterate"] == "adversarial", "what an evaluation keeps"
    assert (one.critical == same.critical).all()
    suite = evaluate(task, attack=rampart.AutoAttack(version="short", steps=3), **options)
    assert suite.metadata["attack"]["name"] == "short"
    assert evaluate(task, attack=rampart.Apgd(), norm="l2", eps=0.5, **options).norm == "l2"
    with pytest.raises(InvalidArgument, match="norm"):
        evaluate(task, attack=rampart.Apgd(norm="l1"), norm="l2", eps=0.5)


def test_keywords_are_those_of_the_configuration(task):
    wanted = {"strengths": ["2/255", "8/255"], "limit": 7, "seed": 4, "mode": "exact", "top_k": 2}
    result = evaluate(task, checks=False, batch_size=3, **wanted)
    assert result.grid.tolist() == [0, 2 / 255, 8 / 255]
    assert len(result) == 7
    settings = result.metadata["settings"]
    assert (settings["seed"], settings["evaluation"]["mode"]) == (4, "exact")
    with pytest.raises(UnknownName, match="limt.*limit"):
        evaluate(task, limt=7)


def test_every_keyword_is_a_key_of_the_configuration():
    from rampart.api.evaluate import SECTIONS
    from rampart.api.keywords import EvaluationSettings
    from rampart.schema.fields import RunFields
    from rampart.schema.measuring import EvaluationConfig

    typed = set(EvaluationSettings.__optional_keys__)
    assert set(EvaluationConfig.model_fields) - {"attack"} <= typed
    known = set(RunFields.model_fields)
    for section in SECTIONS:
        known |= set(RunFields.model_fields[section].annotation.model_fields)
    assert typed <= known


def test_images_are_normalized_if_mean_and_std_are_given(task):
    model, images, labels = task
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    column = [torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std)]

    def pixels(x):
        return model((x - column[0]) / column[1])

    own = rampart.evaluate(pixels, (images, labels), "4/255", "apgd", checks=False)
    given = rampart.evaluate(
        model, (images, labels), "4/255", "apgd", checks=False, mean=mean, std=std
    )
    assert (own.critical == given.critical).all()


def test_a_bare_model_of_timm_needs_its_mean(photo_folder):
    import timm

    model = timm.create_model("rampart_glyphnet", in_chans=3, num_classes=3)
    with pytest.raises(InvalidArgument, match="mean"):
        rampart.evaluate(model, photo_folder, "1/255", "apgd", image_size=16)


def test_a_folder_is_evaluated_on_its_test_split(photo_folder):
    def model(images):
        return images.mean((2, 3)).flip(1) * 10

    result = rampart.evaluate(model, photo_folder, "2/255", "apgd", image_size=16, checks=False)
    assert len(result) == 15
    assert all(name.startswith("test/") for name in result.ids)
    with pytest.raises(InvalidArgument, match="image_size"):
        rampart.evaluate(model, photo_folder)


def test_a_failed_check_is_a_warning_and_is_in_the_record(task):
    model, images, labels = task

    def hidden(x):
        return model((x * 16).round() / 16).softmax(1)

    with pytest.warns(RampartWarning, match="fail") as caught:
        result = rampart.evaluate(hidden, (images, labels), "8/255", "apgd")
    assert result.checks == "fail"
    failed = [v for v in result.metadata["checks"]["verdicts"] if v["status"] in ("fail", "warn")]
    assert len(failed) == len(caught)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            rampart.evaluate(hidden, (images, labels), attack="apgd", checks=False).checks is None
        )


def test_a_record_is_saved_and_read_and_not_replaced(task, tmp_path):
    result = evaluate(task, checks=False)
    result.save(tmp_path / "record")
    read = rampart.EvaluationResult.load(tmp_path / "record")
    assert repr(read) == repr(result)
    assert (tmp_path / "record" / "curve.png").exists()
    with pytest.raises(RunError, match="overwrite"):
        result.save(tmp_path / "record")
    result.save(tmp_path / "record", overwrite=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "curve.csv").write_text("precious")
    (mine / "notes.txt").write_text("precious")
    with pytest.raises(RunError, match="other files, such as notes.txt"):
        result.save(mine, overwrite=True)
    assert (mine / "curve.csv").read_text() == "precious"


def test_the_command_verify_refers_to_python(task, tmp_path):
    from rampart.recipes.evaluation.verify import verify

    evaluate(task, checks=False, adversarial_examples=True).save(tmp_path / "record")
    with pytest.raises(RunError, match="verify_record"):
        verify(tmp_path / "record")


def test_an_evaluation_resumes_in_its_output_folder(task, tmp_path):
    seen = []

    def stops(done, total):
        seen.append((done, total))
        if done >= 10:
            raise KeyboardInterrupt

    options = {"output": tmp_path / "out", "batch_size": 4, "checks": False}
    with pytest.raises(KeyboardInterrupt):
        evaluate(task, on_progress=stops, **options)
    result = evaluate(task, **options)
    assert seen[-1][1] == 30
    assert result.metadata["resumed"] > 0
    assert (result.critical == evaluate(task, checks=False).critical).all()
    with pytest.raises(RunError, match="finished"):
        evaluate(task, **options)


def test_classes_that_do_not_fit_are_refused(task):
    model, images, labels = task
    with pytest.raises(ModelError, match="4"):
        rampart.evaluate(model, (images, labels + 1), attack="apgd")


def test_outputs_that_belong_to_no_class_are_named(task):
    model, images, labels = task

    def wide(x):
        return torch.cat([model(x), model(x)[:, :1].expand(-1, 96) + 1], 1)

    with pytest.warns(RampartWarning) as caught:
        rampart.evaluate(wide, (images, labels), "2/255", "apgd")
    (said,) = (str(one.message) for one in caught if "warn classes" in str(one.message))
    taken = int((wide(images).argmax(1) >= 4).sum())
    assert taken
    assert "96 of the 100 outputs of the model belong to no class of the data" in said
    assert f"{taken} of 30 images" in said
    few = rampart.evaluate(lambda x: wide(x)[:, :4], (images, labels), "2/255", "apgd")
    assert all(
        one["status"] == "pass"
        for one in few.metadata["checks"]["verdicts"]
        if one["check"] == "classes"
    )


def test_folders_named_by_numbers_are_classes_as_for_the_command(tmp_path):
    """A folder states its classes, so other outputs are refused rather than called by numbers."""
    for label in "012":
        for number in range(4):
            file = tmp_path / "test" / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (60 * int(label), 9 * number, 0)).save(file)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(192, 9))
    with pytest.raises(ModelError, match="9 outputs, but the data have 3 classes"):
        rampart.evaluate(wide, tmp_path, "2/255", "apgd", image_size=8)


def test_the_callers_accelerate_state_does_not_change(task):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    before = dict(AcceleratorState._shared_state)
    try:
        AcceleratorState._reset_state(reset_partial_state=True)
        mine = Accelerator(mixed_precision="bf16", cpu=True)
        evaluate(task, checks=False)
        assert AcceleratorState().mixed_precision == mine.mixed_precision == "bf16"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        AcceleratorState._shared_state.update(before)


def test_a_backward_pass_that_fails_is_never_answered_with_square(task):
    model, images, labels = task

    def reentrant(x):
        return checkpoint(model, x, use_reentrant=True) if x.requires_grad else model(x)

    with pytest.raises(ModelError, match="use_reentrant=False") as caught:
        evaluate((reentrant, images, labels))
    assert "square" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_every_precision_are_evaluated(task, dtype):
    model, images, labels = task
    expected = evaluate(task, checks=False)
    other = copy.deepcopy(model).to(dtype)
    found = evaluate((other, images, labels), checks=False)
    agree = np.mean(found.critical == expected.critical)
    assert agree == 1 if dtype == torch.float64 else agree > 0.7
    assert next(other.parameters()).dtype == dtype


def test_a_model_that_converts_the_images_gets_them_as_they_are(task):
    model, images, labels = task
    inner, seen = copy.deepcopy(model).bfloat16(), set()

    class Converts(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            seen.add(x.dtype)
            return self.inner((x - 0.25).bfloat16())

    evaluate((Converts(), images, labels), checks=False)
    assert seen == {torch.float32}


@pytest.mark.parametrize("kind", [torch.int16, torch.int32, torch.uint8])
def test_labels_are_integers_of_any_size(task, kind):
    model, images, labels = task
    found = evaluate((model, images, labels.to(kind)), checks=False)
    assert found.critical.tolist() == evaluate(task, checks=False).critical.tolist()


@pytest.mark.parametrize("label", [-100, 4])
def test_labels_that_are_no_classes_are_refused(task, label):
    model, images, labels = task
    labels = labels.clone()
    labels[-1] = label
    with pytest.raises(RampartError, match=r"label|class"):
        evaluate((model, images, labels), checks=False)


@pytest.mark.parametrize(
    ("wrong", "do"),
    [
        (None, "a reference"),
        (nn.Flatten, "create an object"),
        ([nn.Flatten()], "callable"),
        (nn.Linear(2, 2).state_dict(), "load_state_dict"),
        ({"epoch": 3, "state_dict": nn.Linear(2, 2).state_dict()}, "load_state_dict"),
    ],
    ids=["none", "class", "list", "weights", "checkpoint"],
)
def test_an_object_that_is_not_a_model_is_refused_by_its_name(task, wrong, do):
    with pytest.raises(InvalidArgument, match=f"^model=.*{do}"):
        evaluate((wrong, *task[1:]))


def test_the_record_counts_the_rows_that_go_through_the_model():
    """A wrapper counts rows forward and backward, with checks, rerun and filler."""
    seen = {"forwards": 0, "backwards": 0}
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))

    def count(gradient):
        seen["backwards"] += len(gradient)

    def model(images):
        logits = network(images)
        # The trial before the evaluation uses two images.
        if len(images) > 2:
            seen["forwards"] += len(images)
            if logits.requires_grad:
                logits.register_hook(count)
        return logits

    images, labels = torch.rand(20, 3, 4, 4), torch.arange(20) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RampartWarning)
        result = rampart.evaluate(model, (images, labels), "4/255", attack="apgd", rerun=5)
    assert result.metadata["rows"] == seen
    spent = result.metadata["forwards"] + result.metadata["backwards"]
    assert sum(seen.values()) > spent


@pytest.mark.parametrize(
    "keyword", ["epochs", "head_lr", "lr", "num_epochs", "schedule", "training"]
)
def test_keywords_of_a_training_are_answered_with_finetune(task, keyword):
    with pytest.raises(UnknownName, match=rf"'{keyword}': .*rampart.finetune"):
        evaluate(task, **{keyword: 3})


def normalizing(task):
    """The model of the task with a normalization in its forward."""
    model, images, _ = task

    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model((x - 0.45) / 0.225)

    inside = Inside()
    return inside, images, inside(images).argmax(1)


def test_mean_and_std_on_a_model_that_normalizes_inside_are_noticed(task):
    second = {"mean": [0.45] * 3, "std": [0.225] * 3}
    with pytest.warns(RampartWarning) as caught:
        found = [faults(evaluate(normalizing(task), **options)) for options in ({}, second)]
    assert [one.get("normalization") for one in found] == [None, "warn"]
    texts = [str(one.message) for one in caught if "normalization" in str(one.message)]
    assert len(texts) == 1
    assert texts[0].startswith("warn normalization: the first layer gets pixels from")


def test_mean_and_std_on_a_model_of_this_library_are_refused(task):
    model, images, labels = task
    own = NormalizedModel(model, [0.45] * 3, [0.225] * 3, 5)
    with pytest.raises(InvalidArgument, match="mean=.*normalizes its images itself"):
        evaluate((nn.Sequential(own), images, labels), mean=[0.45] * 3, std=[0.225] * 3)


def test_images_that_are_normalized_already_are_refused(task):
    _, images, labels = task
    with pytest.raises(RampartError, match="remove Normalize"):
        evaluate(task, ((images - 0.45) / 0.225, labels))


def test_gray_levels_are_refused_as_strengths(task):
    for options in ({"eps": 8}, {"strengths": [2, 4, 8]}, {"strengths": [2, 4, 8], "eps": 8}):
        with pytest.raises(InvalidArgument, match="8/255|2/255"):
            evaluate(task, **options)


def test_a_coarse_grid_does_not_give_its_strength_as_a_distance(task):
    """One strength breaks most images; how near the broken ones are is another question."""
    model, images, labels = task
    weight, bias = (part.detach() for part in model[1].parameters())
    nearest = linear_critical_eps(weight, bias, images, labels, "linf").numpy()
    eps = 24 / 255
    found = evaluate(task, eps=eps, strengths=[eps], attack="apgd", checks=False)
    broken = found.critical == 1
    assert broken.sum() > 10
    assert np.median(nearest[broken]) < eps / 2
    known = found.distance[broken & ~np.isnan(found.distance)]
    assert (known < 0.999 * eps).all()
    # FAB searches for the nearest one, so it says something.
    fab = evaluate(task, eps=eps, strengths=[eps], attack="fab", checks=False)
    known = ~np.isnan(fab.distance)
    assert known.sum() > 10
    assert (fab.distance[known] >= nearest[known] * (1 - 1e-4)).all()
    assert np.median(fab.distance[known]) < eps / 2


def faults(result):
    verdicts = result.metadata["checks"]["verdicts"]
    return {one["check"]: one["status"] for one in verdicts if one["status"] in ("warn", "fail")}
