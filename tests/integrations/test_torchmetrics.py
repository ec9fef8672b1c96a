"""The metric of torchmetrics against the figures of an evaluation."""

import numpy as np
import pytest
import torch

from rampart.errors import DataError, InvalidArgument
from rampart.metrics.distributions import Beta
from rampart.metrics.expectation import contributions, expected_robustness
from rampart.metrics.intervals import mean_interval

pytest.importorskip("torchmetrics")

from rampart.integrations.torchmetrics import ExpectedRobustness

GRID = [0, 1 / 255, 2 / 255, 4 / 255]
CRITICAL = np.random.default_rng(0).integers(0, len(GRID) + 1, 101)


def predictions_of(critical):
    """Predictions of class 0 that are right below the critical strength, and wrong from it on."""
    columns = torch.arange(len(GRID))
    return (columns >= torch.as_tensor(critical)[:, None]).long()


@pytest.mark.parametrize("distribution", [None, Beta(2, 5, 4 / 255)])
@pytest.mark.parametrize("sizes", [(101,), (50, 50, 1)])
def test_it_is_the_figure_of_an_evaluation_to_the_last_digit(distribution, sizes):
    metric = ExpectedRobustness(GRID, distribution)
    for part in np.split(CRITICAL, np.cumsum(sizes)[:-1]):
        metric.update(predictions_of(part), torch.zeros(len(part), dtype=torch.long))
    assert metric.compute().item() == expected_robustness(CRITICAL, GRID, distribution)
    assert metric.interval() == mean_interval(contributions(CRITICAL, GRID, distribution))


def test_critical_indices_and_logits_give_the_same():
    first, second = ExpectedRobustness(GRID), ExpectedRobustness(GRID)
    first.update(critical=torch.from_numpy(CRITICAL))
    logits = torch.nn.functional.one_hot(predictions_of(CRITICAL), 3).float()
    second.update(logits, torch.zeros(len(CRITICAL), dtype=torch.long))
    assert torch.equal(first.compute(), second.compute())


def test_an_image_that_recovers_is_not_robust():
    metric = ExpectedRobustness(GRID)
    metric.update(torch.tensor([[0, 1, 0, 0]]), torch.tensor([0]))
    assert metric.compute().item() == expected_robustness([1], GRID)


def test_processes_share_their_images():
    """As torchmetrics does it: states are gathered, and reduced by concatenation."""
    parts = np.array_split(CRITICAL, 3)
    gathered = [torch.from_numpy(part) for part in parts]
    metric = ExpectedRobustness(
        GRID,
        dist_sync_fn=lambda state, group=None: gathered,
        distributed_available_fn=lambda: True,
    )
    metric.update(critical=torch.from_numpy(parts[0]))
    assert metric.compute().item() == expected_robustness(CRITICAL, GRID)


def test_it_is_reset_and_has_no_figure_of_no_image():
    metric = ExpectedRobustness(GRID)
    metric.update(critical=torch.tensor([2]))
    metric.reset()
    with pytest.raises(DataError, match="update"):
        metric.interval()


@pytest.mark.parametrize(
    ("predictions", "labels", "name"),
    [
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long), "predictions"),
        (torch.zeros(2, 4), torch.zeros(2, dtype=torch.long), "predictions"),
        (torch.zeros(2, 4, dtype=torch.long), torch.zeros(3, dtype=torch.long), "labels"),
    ],
)
def test_other_shapes_are_refused(predictions, labels, name):
    with pytest.raises(InvalidArgument, match=f"^{name}="):
        ExpectedRobustness(GRID).update(predictions, labels)


def test_a_wrong_grid_or_index_is_refused():
    with pytest.raises(InvalidArgument, match="predictions and labels, or critical"):
        ExpectedRobustness(GRID).update(torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(InvalidArgument, match="grid"):
        ExpectedRobustness([1 / 255])
    with pytest.raises(InvalidArgument, match="critical"):
        ExpectedRobustness(GRID).update(critical=torch.tensor([9]))
