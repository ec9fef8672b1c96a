"""Perturbations that outlast an epoch: each attack begins where the last one on its sample ended.

Zheng et al. 2020 (ATTA, arXiv 1912.11969): training moves the weights little between two epochs, so
a perturbation still raises the loss, and a few steps from it are as strong as many from a random
point.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rampart.data.transforms import turn_over
from rampart.threat import column


@dataclass
class WarmStart:
    """The last perturbation of every training image, keyed by its number in the split.

    A perturbation is kept for the image before a flip, and flipped with it. It is stored in fp16 on
    the CPU: 2 bytes for each value of each training image, 0.3 MB for 3 x 224 x 224. So is a
    checkpoint, and a resumed run begins at the same points. Color jitter changes the image below a
    perturbation, which still raises the loss; a rotation would need another perturbation.

    Attributes:
        size: number of the last training image, plus 1.
        kept: (size, C, H, W) fp16, the perturbations; empty before the first.
        known: (size,) bool, which images have one.
    """

    size: int
    kept: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float16))
    known: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.known = torch.zeros(self.size, dtype=torch.bool)

    def points(self, images: Tensor, indices: Tensor, flipped: Tensor) -> Tensor:
        """Return the points at which attacks begin; NaN for an image without a perturbation.

        Args:
            images: (N, C, H, W), as they are attacked.
            indices: (N,), their numbers.
            flipped: (N,) bool, which of them are flipped.
        """
        rows = indices.cpu()
        if not len(self.kept):
            return torch.full_like(images, torch.nan)
        deltas = turn_over(self.kept[rows].to(images), flipped)
        known = column(self.known[rows].to(images.device), images)
        return torch.where(known, images + deltas, torch.nan)

    def keep(self, points: Tensor, images: Tensor, indices: Tensor, flipped: Tensor) -> None:
        """Keep the perturbations of attacked images; arguments as in `points`."""
        rows = indices.cpu()
        if not len(self.kept):
            self.kept = torch.zeros(self.size, *images.shape[1:], dtype=torch.float16)
        deltas = turn_over((points - images).detach(), flipped)
        self.kept[rows] = deltas.to("cpu", torch.float16)
        self.known[rows] = True

    def state_dict(self) -> dict[str, Tensor]:
        """Return what an exact resume needs; the next step changes it, so write it at once."""
        return {"kept": self.kept, "known": self.known}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        self.kept, self.known = state["kept"], state["known"]
