"""Class probabilities of images by features of a backbone, from models that never saw the image.

A head that was fitted to an image repeats its label, right or wrong. So the probabilities of an
image come from heads fitted to other images (cross-validation), or from its nearest neighbors.
"""

import warnings
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from rampart.attacks.frozen import frozen
from rampart.data.batches import Batch
from rampart.data.splits import Labels
from rampart.errors import InvalidArgument
from rampart.evaluation.linear_probe import HeadInputs, QueriedFeatures
from rampart.progress.work import watched
from rampart.runtime import Noise

#: Parts of the images; each part is held out once.
FOLDS = 5
#: Inverse strengths of the L2 penalty to try on standardized features, as in scikit-learn.
_STRENGTHS = (0.003, 0.03, 0.3, 3.0)
#: Neighbors that tell the class of an image.
NEIGHBORS = 20
#: Images that are compared with all others at once.
_CHUNK = 1024


def features_of(model: nn.Module, batches: Iterable[Batch], number: int) -> Tensor:
    """Return the features that enter the head of a model, (N, F) float32 on the CPU.

    Args:
        model: pixels in [0, 1] to logits, in eval mode during the call; it is restored.
        batches: of N images.
        number: N, to show how far the work is.

    Raises:
        ModelError: the model has no linear last layer, or does not call it.
    """
    queried, device = QueriedFeatures(HeadInputs(model)), next(model.parameters()).device
    with frozen(model), torch.no_grad():
        shown = watched(batches, "features", number, count=len)
        return torch.cat([queried(batch.to(device).pixels()).cpu() for batch in shown])


def held_out_probabilities(features: Tensor, labels: Labels, classes: int, seed: int) -> Tensor:
    """Return probabilities (N, K) of linear heads that were fitted to other images.

    The images are divided into five parts, alike in their classes. Logistic regression
    (scikit-learn) on the standardized features of four parts gives the probabilities of the fifth.

    Two things are chosen with all images, labels included or not. The L2 penalty, one of four, is
    that with the least cross-entropy on the first part, so the labels of this part choose one
    number for heads that predict them. Mean and deviation of each feature are over all images.

    Args:
        features: (N, F).
        labels: (N,), in 0..K-1, of which at least two occur.
        classes: K; a class that the four parts lack has probability 0.
        seed: of the division.

    Raises:
        InvalidArgument: too few images or classes.
    """
    points = _standardized(features)
    parts = _parts(labels, seed)
    found = np.zeros((len(labels), classes), dtype=np.float64)
    first = parts == 0
    tried = {c: _fitted(points, labels, first, classes, c) for c in _STRENGTHS}
    best = max(tried, key=lambda c: _fit(tried[c], labels[first]))
    found[first] = tried[best]
    for part in watched(range(1, FOLDS), "linear heads", FOLDS - 1, "head"):
        own = parts == part
        found[own] = _fitted(points, labels, own, classes, best)
    return torch.from_numpy(found).float()


def neighbor_probabilities(
    features: Tensor, labels: Labels, classes: int, neighbors: int = NEIGHBORS
) -> Tensor:
    """Return probabilities (N, K): the classes of the images with the most similar features.

    (n_k + 1/K) / (n + 1), where n_k of the n nearest other images have class k. Features are
    compared by their cosine.

    Args:
        features: (N, F), N >= 2.
        labels: (N,), in 0..K-1.
        classes: K.
        neighbors: n; fewer if there are fewer other images.
    """
    points, known = normalize(features.float(), dim=1), torch.from_numpy(labels)
    near = min(neighbors, len(points) - 1)
    votes = []
    for start in range(0, len(points), _CHUNK):
        rows = torch.arange(start, min(start + _CHUNK, len(points)))
        alike = points[rows] @ points.T
        alike[torch.arange(len(rows)), rows] = -torch.inf
        chosen = known[alike.topk(near, dim=1).indices]
        votes.append(one_hot(chosen, classes).sum(1))
    return (torch.cat(votes) + 1 / classes) / (near + 1)


def _standardized(features: Tensor) -> NDArray[np.float32]:
    std, mean = torch.std_mean(features.float(), 0, correction=0)
    scale = torch.where(std > 1e-6 * features.abs().amax(0), 1 / std, 0.0)
    values: NDArray[np.float32] = ((features.float() - mean) * scale).numpy()
    return values


def _parts(labels: Labels, seed: int) -> Labels:
    """Return the part of each image, (N,) in 0..FOLDS-1; a class is spread evenly over them."""
    noise = Noise.of(seed, torch.arange(len(labels)), "held out").uniform(1)[:, 0].numpy()
    order = np.lexsort((noise, labels))
    parts = np.empty(len(labels), dtype=np.int64)
    parts[order] = np.arange(len(labels)) % FOLDS
    for part in range(FOLDS):
        if len(np.unique(labels[parts != part])) < 2 or not (parts == part).any():
            got = f"{len(labels)} images of {len(np.unique(labels))} classes"
            expected = "enough images of two classes for cross-validated linear heads"
            raise InvalidArgument("images", got, expected, "add images")
    return parts


def _fitted(
    points: NDArray[np.float32],
    labels: Labels,
    held_out: NDArray[np.bool_],
    classes: int,
    strength: float,
) -> NDArray[np.float64]:
    """Return the probabilities (M, K) of the M held-out images, by a head on all others."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        # The ranks of the probabilities hardly change over the last iterations.
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(points[~held_out], labels[~held_out])
    found = np.zeros((int(held_out.sum()), classes))
    found[:, head.classes_] = head.predict_proba(points[held_out])
    return found


def _fit(probabilities: NDArray[np.float64], labels: Labels) -> float:
    """Return the mean log probability of the labels."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(np.log(np.maximum(own, 1e-6)).mean())
