"""Attacks of Rampart with the call that AttackBench expects (Cinà et al., arXiv 2404.19460).

AttackBench (https://github.com/attackbench/AttackBench) calls an attack as

    adv_inputs = attack(model=model, inputs=inputs, labels=labels, targets=None, targeted=False)

with images in [0, 1] and a model that returns logits, and counts forwards, backwards and the
distances of what the attack returns. Nothing here imports AttackBench, which is not on the package
index, and Rampart was not run inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from rampart.attacks.base import Attack
from rampart.data.items import digest_of
from rampart.errors import InvalidArgument
from rampart.integrations.arguments import require_kind
from rampart.logits import is_correct
from rampart.runtime import Noise, derive
from rampart.units import parse_eps


@dataclass(frozen=True)
class AttackBenchAttack:
    """An attack for AttackBench.

    With one strength it is an attack of a fixed budget. With several it tries them in ascending
    order, and every image keeps the adversarial example of the first strength that has one; images
    without any keep the point of the last strength.

    Noise is keyed by the content of each image, so batches do not change results.

    Attributes:
        attack: the attack.
        eps: one strength, or several ascending ones; fractions of the pixel range, such as "4/255".
        seed: of the noise.

    Raises:
        InvalidArgument: a strength is out of range, or they do not ascend.
    """

    attack: Attack
    eps: float | str | Sequence[float | str]
    seed: int = 0

    def __post_init__(self) -> None:
        require_kind("attack", self.attack, Attack)
        if not self.strengths or any(after <= before for before, after in pairwise(self.strengths)):
            raise InvalidArgument("eps", self.eps, "a strength, or several in ascending order")

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths as numbers."""
        given = [self.eps] if isinstance(self.eps, float | int | str) else self.eps
        return tuple(parse_eps(one, self.attack.norm) for one in given)

    def __call__(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        targets: Tensor | None = None,
        targeted: bool = False,
    ) -> Tensor:
        """Return perturbed images in [0, 1].

        Args:
            model: pixels in [0, 1] to logits (N, K), in eval mode.
            inputs: (N, C, H, W), pixels in [0, 1].
            labels: (N,).
            targets: only None.
            targeted: only False.

        Raises:
            InvalidArgument: a targeted attack is asked for.
        """
        if targeted or targets is not None:
            do = "run it without targets; APGD-T and FAB-T choose their targets themselves"
            raise InvalidArgument("targeted", True, "False", do)
        noise = Noise.of(self.seed, _numbers(inputs), "attackbench")
        points, left = inputs.clone(), torch.arange(len(inputs), device=inputs.device)
        for number, eps in enumerate(self.strengths):
            own = noise.child(number).select(left)
            points[left] = self.attack(model, inputs[left], labels[left], eps, own)
            if number + 1 < len(self.strengths):
                with torch.no_grad():
                    left = left[is_correct(model(points[left]), labels[left])]
            if not len(left):
                break
        return points


def _numbers(images: Tensor) -> Tensor:
    """Return a number for each image that depends on its content alone, (N,) int64."""
    numbers = [derive(0, digest_of(one.cpu())) for one in images]
    return torch.tensor(numbers, dtype=torch.int64, device=images.device)
