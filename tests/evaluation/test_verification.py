from dataclasses import replace

import numpy as np
import pytest
import torch

from rampart.errors import DataError, InvalidArgument
from rampart.evaluation.verification import (
    BALL,
    BOX,
    DISTANCE,
    LABEL,
    PREDICTION,
    RIGHT,
    Verification,
    verify_record,
)
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record, save_record

LEVELS = 8
EPS = {"linf": 12 / 255, "l2": 0.2}


def proven(task, norm: str = "linf") -> EvaluationRecord:
    """The record of a linear model, with exact adversarial examples."""
    grid = np.linspace(0, EPS[norm], LEVELS + 1)
    critical = task.critical(tuple(grid), norm)
    images = task.images / 255
    logits = task.model(images)
    found = torch.from_numpy((critical > 0) & (critical <= LEVELS))
    to_other = (task.weight[1 - task.labels] - task.weight[task.labels]).view_as(images)
    length = to_other.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    step = to_other.sign() if norm == "linf" else to_other / length
    eps = torch.from_numpy(np.append(grid, 0)[critical]).float().view(-1, 1, 1, 1)
    record = EvaluationRecord(
        norm=norm,
        grid=grid,
        ids=tuple(map(str, range(len(critical)))),
        labels=task.labels.numpy(),
        predictions=logits.argmax(1).detach().numpy(),
        critical=critical,
        distance=np.where(found, eps.flatten(), np.nan),
        adversarial_examples=(images + eps * step)[found].numpy(),
    )
    assert 10 < found.sum() < 50
    return record


def images_of(task):
    def read(ids):
        rows = torch.tensor([int(name) for name in ids])
        return task.images[rows] / 255, task.labels[rows]

    return read


def reasons(result: Verification) -> list[tuple[str, str]]:
    return [(failure.id, failure.reason) for failure in result.failures]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("batch_size", [1, 7, 60, 128])
def test_a_sound_record_is_verified_with_one_pass_per_image(task, norm, batch_size):
    record, done = proven(task, norm), []
    result = verify_record(record, task.model, images_of(task), batch_size, done.append)
    assert result.ok, result.verdict
    assert result.forwards == 60 + len(record.adversarial_examples)
    assert (result.n, result.adversarial_examples) == (60, record.found.sum())
    assert done[-1] == 60
    assert result.verdict.startswith("verified: 60 predictions")
    assert result.figures()["ok"]


def test_a_record_from_disk_is_verified(task, tmp_path):
    save_record(proven(task), tmp_path)
    record = load_record(tmp_path, adversarial_examples=True)
    assert verify_record(record, task.model, images_of(task)).ok


def changed(
    record: EvaluationRecord, adversarial_example: int, image: np.ndarray
) -> EvaluationRecord:
    """The record with one adversarial example replaced, and without distances."""
    adversarial_examples = record.adversarial_examples.copy()
    adversarial_examples[adversarial_example] = image
    return replace(record, adversarial_examples=adversarial_examples, distance=None)


@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_an_invalid_adversarial_example_is_reported(task, batch_size):
    record = proven(task)
    row, name = np.flatnonzero(record.found)[3], str(np.flatnonzero(record.found)[3])
    clean = (task.images[row] / 255).numpy()
    eps = record.grid[record.critical[row]]
    step = record.adversarial_examples[3] - clean
    cases = [
        # Outside the ball, in the direction of misclassification.
        (clean + step * 1.001, {BALL}),
        # The adversarial example of another sample.
        (record.adversarial_examples[4], {BALL}),
        (clean, {RIGHT}),
        (np.full_like(clean, np.nan), {BALL, BOX}),
        (clean + step + np.where(np.arange(16).reshape(1, 4, 4) == 5, 2.0, 0.0), {BALL, BOX}),
    ]
    assert abs(step).max() == pytest.approx(eps, rel=1e-5)
    for image, expected in cases:
        result = verify_record(changed(record, 3, image), task.model, images_of(task), batch_size)
        found = {reason for name, reason in reasons(result)}
        assert {failure.id for failure in result.failures} == {name}
        assert found - {RIGHT} == expected - {RIGHT}
        assert RIGHT in found or RIGHT not in expected
        assert "1 of 60 samples" in result.verdict


def test_a_smaller_critical_strength_than_proved_is_reported(task):
    record = proven(task)
    row = np.flatnonzero(record.found & (record.critical > 1))[0]
    critical = record.critical.copy()
    critical[row] -= 1
    result = verify_record(
        replace(record, critical=critical, distance=None), task.model, images_of(task)
    )
    assert reasons(result) == [(str(row), BALL)]


def test_a_different_distance_is_reported(task):
    record = proven(task)
    row = np.flatnonzero(record.found)[0]
    distance = record.distance.copy()
    distance[row] *= 0.99
    result = verify_record(replace(record, distance=distance), task.model, images_of(task))
    assert reasons(result) == [(str(row), DISTANCE)]


def test_a_different_model_is_reported(task):
    record = proven(task)
    other = replace(task, weight=-task.weight, bias=-task.bias)
    result = verify_record(record, other.model, images_of(task))
    assert result.counts == {PREDICTION: 60, RIGHT: int(record.found.sum())}
    assert "not verified: 60 of 60 samples" in result.verdict
    assert "the first is 0." in result.verdict


def test_a_different_label_is_reported(task):
    record = proven(task)
    labels = task.labels.clone()
    labels[7] = 1 - labels[7]
    result = verify_record(record, task.model, images_of(replace(task, labels=labels)))
    assert reasons(result) == [("7", LABEL)]


def test_in_top_2_of_2_classes_no_adversarial_example_is_misclassified(task):
    record = replace(proven(task), metadata={"top_k": 2})
    result = verify_record(record, task.model, images_of(task))
    # Clean images that are misclassified are correct in top 2.
    wrong = int((record.critical == 0).sum())
    assert result.counts == {RIGHT: int(record.found.sum()), PREDICTION: wrong}


def test_the_model_is_restored(task):
    model = task.model.train()
    verify_record(proven(task), model, images_of(task))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_invalid_arguments_are_refused(task):
    record = proven(task)
    with pytest.raises(InvalidArgument, match="adversarial_examples=True"):
        verify_record(replace(record, adversarial_examples=None), task.model, images_of(task))
    with pytest.raises(InvalidArgument, match="batch_size=0"):
        verify_record(record, task.model, images_of(task), 0)
    with pytest.raises(DataError, match="data="):
        verify_record(record, task.model, lambda ids: (torch.zeros(len(ids), 1, 5, 5), task.labels))


def test_robust_samples_need_no_adversarial_example(task):
    right = task.model(task.images / 255).argmax(1) == task.labels
    record = EvaluationRecord(
        norm="linf",
        grid=[0.0, 0.1],
        ids=tuple(map(str, range(60))),
        labels=task.labels.numpy(),
        predictions=np.where(right, task.labels, 1 - task.labels),
        critical=np.where(right, 2, 0),
    )
    result = verify_record(record, task.model, images_of(task))
    assert (result.ok, result.forwards, result.adversarial_examples) == (True, 60, 0)
