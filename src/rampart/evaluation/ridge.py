"""Ridge regression on one-hot labels, its strength chosen by leaving one out, in closed form."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

#: Strengths tried, as multiples of the mean squared length of a centred sample.
_MULTIPLES = tuple(10 ** (k / 2) for k in range(-8, 9))


def ridge_head(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return weight (K, F) and bias (K,), float64, of a linear classifier of features.

    min over W, b of sum_i ||W x_i + b - onehot(y_i)||² + λ ||W||², the features standardised
    first; λ has the least mean squared error on the sample left out, e_i / (1 - h_ii) with h the
    diagonal of the hat matrix (Allen 1974's PRESS; Golub, Heath & Wahba 1979, equation 1.3). The
    work is in the Gram matrix, O(N³) whatever F is, and on the CPU, where there is float64.

    Args:
        features: (N, F), N of at least 2.
        labels: (N,), in 0..K-1.
        classes: K.
    """
    points, labels = features.detach().cpu().double(), labels.cpu()
    mean, scale = points.mean(0), _inverse_std(points)
    points = (points - mean) * scale
    targets = one_hot(labels, classes).double()
    average = targets.mean(0)
    dual = _best_dual(points @ points.T, targets - average)
    weight = (dual.T @ points) * scale
    return weight, average - weight @ mean


def _inverse_std(points: Tensor) -> Tensor:
    """1 / std of each feature, (F,); 0 for one that is constant, which then has no weight."""
    std = points.std(0, correction=0)
    # The mean is rounded, so the std of a constant is not always 0.
    return torch.where(std > 1e-6 * points.abs().amax(0), 1 / std, 0.0)


def _best_dual(gram: Tensor, targets: Tensor) -> Tensor:
    """Return (G + λ)⁻¹ Y, (N, K), of centred samples and targets for the best λ.

    With G = Q diag(d) Qᵀ the residuals are R = λ (G + λ)⁻¹ Y, and 1 - h_ii is the diagonal of
    λ (G + λ)⁻¹ less 1/N for the bias.
    """
    n = len(gram)
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp_min(0)
    # Where every feature is constant any strength gives the same: the mean of the labels.
    unit = values.sum() / n or torch.ones(())
    rotated, squares = vectors.T @ targets, vectors**2

    def dual(strength: Tensor) -> Tensor:
        return vectors @ (rotated / (values + strength)[:, None])

    def error_left_out(strength: Tensor) -> float:
        left = squares @ (strength / (values + strength)) - 1 / n
        return float(((strength * dual(strength) / left[:, None]) ** 2).mean())

    best = min((unit * multiple for multiple in _MULTIPLES), key=error_left_out)
    return dual(best)
