"""A linear head on fixed features, by ridge regression on one-hot labels."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

#: Penalties λ to try, as multiples of the mean squared length of a standardized sample.
_MULTIPLES = tuple(10 ** (k / 2) for k in range(-8, 9))


def ridge_head(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return weight (K, F) and bias (K,), float64, of a linear classifier of features.

    It minimizes sum_i ||W x_i + b - onehot(y_i)||² + λ ||W||² on standardized features.
    scikit-learn's `RidgeCV` chooses the λ with the least mean squared leave-one-out error. It runs
    on the CPU in float64.

    Args:
        features: (N, F), N >= 2.
        labels: (N,), in 0..K-1.
        num_classes: K.
    """
    from sklearn.linear_model import RidgeCV

    points, labels = features.detach().cpu().double(), labels.cpu()
    mean, scale = points.mean(0), _inverse_std(points)
    points = (points - mean) * scale
    # If every feature is constant, every λ gives the same result: the mean of the labels.
    unit = float((points**2).sum(1).mean()) or 1.0
    ridge = RidgeCV([unit * multiple for multiple in _MULTIPLES])
    ridge.fit(points.numpy(), one_hot(labels, num_classes).double().numpy())
    weight = torch.from_numpy(ridge.coef_) * scale
    return weight, torch.from_numpy(ridge.intercept_) - weight @ mean


def _inverse_std(points: Tensor) -> Tensor:
    """Return 1 / std of each feature, (F,); 0 for a constant one, which then has no weight."""
    std = points.std(0, correction=0)
    # The mean is rounded, so the std of a constant is not always 0.
    return torch.where(std > 1e-6 * points.abs().amax(0), 1 / std, 0.0)
