"""Which labels are likely wrong, by confident learning on held-out probabilities."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.data.splits import Labels
from rampart.extras import require_extra

_PURPOSE = "the check of labels"


def require_cleanlab() -> None:
    """Refuse to check labels without cleanlab.

    Raises:
        MissingExtra: it is not installed.
    """
    require_extra("cleanlab.filter", "labels", _PURPOSE)


def find_suspects(labels: Labels, probabilities: NDArray[np.float64]) -> Labels:
    """Return the positions of the labels that are likely wrong, the likeliest first, (M,) int64.

    Confident learning, Northcutt et al. 2021 (arXiv 1911.00068), by cleanlab: both of its rules,
    by class and by noise rate (`filter_by="both"`), must name a label. The order is that of the
    normalized margin, the probability of the label minus that of the likeliest other class.

    Args:
        labels: (N,), in 0..K-1.
        probabilities: (N, K), from models that did not see the image.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    cleanlab = require_extra("cleanlab.filter", "labels", _PURPOSE)
    # It takes the classes that occur only.
    known, inner = np.unique(labels, return_inverse=True)
    own = probabilities[:, known].astype(np.float64)
    own /= np.maximum(own.sum(1, keepdims=True), 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = cleanlab.find_label_issues(
            inner, own, filter_by="both", return_indices_ranked_by="normalized_margin", n_jobs=1
        )
    suspects: Labels = np.asarray(found, dtype=np.int64)
    return suspects


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """The result of a check of labels; no label changes.

    Attributes:
        ids: names of the N images.
        class_names: of the K classes.
        labels: (N,), as given.
        probabilities: (N, K), held out.
        suspects: (M,), positions of the labels that are likely wrong, the likeliest first.
        true_labels: (N,), before label noise was added on purpose; None without it.
    """

    ids: Sequence[str]
    class_names: Sequence[str]
    labels: Labels
    probabilities: NDArray[np.float64]
    suspects: Labels
    true_labels: Labels | None = None

    @property
    def agreement(self) -> float:
        """Fraction of the labels that are the likeliest class by the probabilities."""
        return float((self.probabilities.argmax(1) == self.labels).mean())

    def found_noise(self) -> dict[str, float] | None:
        """Return precision and recall for wrong labels on purpose; None without any."""
        if self.true_labels is None:
            return None
        wrong = self.true_labels != self.labels
        hits = int(wrong[self.suspects].sum())
        listed = max(1, len(self.suspects))
        return {"precision": hits / listed, "recall": hits / max(1, int(wrong.sum()))}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each suspect, the likeliest wrong label first."""
        rows = []
        for rank, place in enumerate(self.suspects.tolist(), start=1):
            own, label = self.probabilities[place], int(self.labels[place])
            likelier = int(np.where(np.arange(len(own)) == label, -1.0, own).argmax())
            row = {
                "rank": rank,
                "image": self.ids[place],
                "label": self.class_names[label],
                "probability": float(own[label]),
                "likelier": self.class_names[likelier],
                "probability_of_likelier": float(own[likelier]),
            }
            if self.true_labels is not None:
                row["true_label"] = self.class_names[int(self.true_labels[place])]
            rows.append(row)
        return rows

    def summary(self) -> dict[str, Any]:
        """Return the figures of the check."""
        return {
            "images": len(self.ids),
            "suspects": len(self.suspects),
            "agreement": self.agreement,
            **({"noise": found} if (found := self.found_noise()) else {}),
        }
