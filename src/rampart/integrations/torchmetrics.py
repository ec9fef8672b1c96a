"""Expected robustness as a metric of torchmetrics, for loops that collect such metrics."""

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from rampart.errors import DataError, InvalidArgument
from rampart.images_and_labels import is_whole, type_of
from rampart.metrics.curve import check_critical, check_grid
from rampart.metrics.distributions import Distribution
from rampart.metrics.expectation import contributions, expected_robustness
from rampart.metrics.intervals import CONFIDENCE, Interval, check_confidence, mean_interval


class ExpectedRobustness(Metric):
    """Mean accuracy over a distribution of strengths, as `rampart.expected_robustness`.

    `update` takes the predictions at every strength of the grid, or the critical indices of an
    evaluation. Processes share their images as for every metric of torchmetrics, so
    the figure is that of all images.

    Args:
        grid: (n + 1,) ascending strengths from 0, fractions of the pixel range.
        distribution: of the strength; uniform on [0, last strength] by default.
        confidence: of `interval`.
        options: of `torchmetrics.Metric`.

    Raises:
        InvalidArgument: the grid does not ascend from 0, or the confidence is out of range.

    Example:
        >>> metric = ExpectedRobustness([0, 2 / 255, 4 / 255])
        >>> predictions = torch.tensor([[1, 1, 0], [0, 0, 0]])  # one column for each strength
        >>> metric.update(predictions, torch.tensor([1, 0]))
        >>> float(metric.compute())  # contributions 3/4 and 1
        0.875
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    critical: list[Tensor]

    def __init__(
        self,
        grid: ArrayLike,
        distribution: Distribution | None = None,
        confidence: float = CONFIDENCE,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.grid, self.distribution = check_grid(grid), distribution
        self.confidence = check_confidence(confidence)
        # All images, and not a sum: so the mean is that of an evaluation to the last digit, and the
        # interval needs the spread.
        self.add_state("critical", default=[], dist_reduce_fx="cat")

    def update(
        self,
        predictions: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        critical: Tensor | None = None,
    ) -> None:
        """Add images by their predictions under attack, or by their critical indices.

        An image is robust at a strength if its predictions there and at all smaller strengths are
        right.

        Args:
            predictions: (N, n + 1) classes, or (N, n + 1, K) logits; column 0 is without an attack.
            labels: (N,).
            critical: (N,) in 0..n + 1, in place of both; as `Results.critical` has them.

        Raises:
            InvalidArgument: another shape, an index outside the grid, or neither of the two.
        """
        if critical is not None and predictions is None and labels is None:
            check_critical(critical.cpu().numpy(), len(self.grid) - 1)
            self.critical.append(critical.to(self.device, torch.int64))
        elif predictions is not None and labels is not None and critical is None:
            self.critical.append(self._critical_of(predictions, labels))
        else:
            raise InvalidArgument(
                "update", "other arguments", "predictions and labels, or critical"
            )

    def _critical_of(self, predictions: Tensor, labels: Tensor) -> Tensor:
        classes = predictions.argmax(-1) if predictions.ndim == 3 else predictions
        expected = f"(N, {len(self.grid)}) classes, or such logits (N, {len(self.grid)}, K)"
        if classes.ndim != 2 or classes.shape[1] != len(self.grid) or not is_whole(classes):
            got = f"{type_of(predictions)} {tuple(predictions.shape)}"
            raise InvalidArgument("predictions", got, expected)
        if labels.shape != classes.shape[:1]:
            raise InvalidArgument("labels", tuple(labels.shape), f"({len(classes)},)")
        return (classes == labels[:, None]).cumprod(1).sum(1)

    def compute(self) -> Tensor:
        """Return expected robustness, a fraction, float64.

        Raises:
            DataError: no image was added.
        """
        value = expected_robustness(self._indices(), self.grid, self.distribution)
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def interval(self) -> Interval:
        """Return the interval of expected robustness, for the images of this process.

        Call it after `sync()`, or with one process, for those of all.
        """
        values = contributions(self._indices(), self.grid, self.distribution)
        return mean_interval(values, self.confidence)

    def _indices(self) -> Any:
        if not len(self.critical):
            raise DataError("the metric has no images: call update() before compute().")
        return dim_zero_cat(self.critical).cpu().numpy()
