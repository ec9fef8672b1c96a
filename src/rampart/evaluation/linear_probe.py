"""How robust a model is before training: a linear head on its untouched features, attacked."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from rampart.attacks.base import Attack, CountingModel
from rampart.attacks.frozen import Model, frozen, local, module_of
from rampart.attacks.pgd import Pgd
from rampart.data.batches import Batch, ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.errors import InvalidArgument, ModelError
from rampart.evaluation.ridge import ridge_head
from rampart.models.normalized import NormalizedModel
from rampart.models.weights import head_modules
from rampart.runtime import Noise, derive
from rampart.skill import chance_of, clearly_above
from rampart.units import Norm, format_eps

#: Fractions of eps_g that are attacked.
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
#: Training images that the head is fitted to, and held-out images that it is measured on.
FITTED, HELD_OUT = 1024, 128
#: What must be kept of the accuracy beyond chance where the ramp starts.
ENOUGH = 0.5


@dataclass(frozen=True)
class LinearProbeResult:
    """What a linear head on a backbone's features gets right, without and under attack.

    Attributes:
        fractions: of eps_g, ascending from 0 to 1.
        accuracy: fraction of the held-out images that is right at each of them and at all smaller
            ones; the first is the clean accuracy.
        chance: accuracy of the best constant answer.
        eps: eps_g, fraction of the pixel range.
        images: number of held-out images.
        forwards: samples that went forward.
        backwards: samples that went backward.
    """

    fractions: tuple[float, ...]
    accuracy: tuple[float, ...]
    chance: float
    eps: float
    images: int
    forwards: int = 0
    backwards: int = 0

    @property
    def passes(self) -> int:
        """What the linear probe cost: forwards and backwards of one sample."""
        return self.forwards + self.backwards

    @property
    def informative(self) -> bool:
        """Whether the clean accuracy is clearly above chance: by three standard errors of chance.

        Where it is not, there is nothing that an attack could take away.
        """
        return clearly_above(self.accuracy[0], self.chance, self.images)

    @property
    def retained(self) -> tuple[float, ...]:
        """The part of the clean accuracy beyond chance that is kept at each share, in [0, 1]."""
        beyond = [max(0.0, accuracy - self.chance) for accuracy in self.accuracy]
        if not beyond[0]:
            return (0.0,) * len(beyond)
        return tuple(accumulate((part / beyond[0] for part in beyond), min))

    @property
    def start(self) -> float:
        """The largest fraction of eps_g at which half of the accuracy beyond chance is kept.

        The ramp exists because an attack on features that are not robust hides the classes: there
        is then nothing to fit a head to. Where a linear head that has only seen clean images still
        keeps half of what it got right, the untouched features show the classes under attack too,
        and the reason for smaller strengths is gone. Half is a convention, not a measured optimum.
        Between two measured fractions the kept part is interpolated linearly. Between 0 and the
        first
        share nothing is: every network keeps all at 0, so a line from there would credit one that
        keeps nothing at eps_g/4 with eps_g/8.

        The rule errs towards a start that is too low. A head fitted to clean images may use what a
        robust backbone has suppressed but not removed; and a backbone that is not robust may be
        adapted to at full strength all the same if the task is easy, which no linear probe of its
        features can see.
        """
        kept = self.retained
        last = max((i for i, part in enumerate(kept) if part >= ENOUGH), default=0)
        if last == 0 or not self.informative:
            return 0.0
        if last == len(kept) - 1:
            return self.fractions[last]
        gone = (kept[last] - ENOUGH) / (kept[last] - kept[last + 1])
        return self.fractions[last] + gone * (self.fractions[last + 1] - self.fractions[last])

    @property
    def verdict(self) -> str:
        """One sentence: how robust the backbone is, and where the ramp starts."""
        if not self.informative:
            return (
                f"nothing is known of the backbone's robustness: its linear probe gets "
                f"{self.accuracy[0]:.0%} right without attack, which is not clearly above chance "
                f"({self.chance:.0%}), so the ramp starts at 0."
            )
        if self.start == 0:
            kept = self._describe_retained(1)
            return f"the backbone is not robust: {kept}, so the ramp starts at 0."
        if self.start == 1:
            return f"the backbone is robust: {self._describe_retained(-1)}, so no ramp is needed."
        where = f"{self.start:.0%} of {format_eps(self.eps)}"
        kept = self._describe_retained(-1)
        return f"the backbone is partly robust: {kept}, so the ramp starts at {where}."

    def _describe_retained(self, index: int) -> str:
        return (
            f"at {format_eps(self.fractions[index] * self.eps)} its linear probe keeps "
            f"{self.retained[index]:.0%} of what it gets right beyond chance without attack "
            f"({self.accuracy[0]:.0%})"
        )


def measure_linear_probe(
    model: Model,
    train: Split,
    held_out: Split,
    eps: float,
    norm: Norm = "linf",
    *,
    seed: int = 0,
    batch_size: int = 128,
    workers: int = 0,
) -> LinearProbeResult:
    """Measure how robust the features of a model are, whatever its head.

    A head is fitted to at most 1024 training images by ridge regression; on at most 128 others it
    is attacked by PGD (10 steps, cross-entropy) at a quarter, a half, three quarters and all of
    eps. An image that is broken at one strength counts as broken at the larger ones and is attacked
    no more, so that the cost falls with the robustness. Images and noise depend on the seed alone,
    and the model is left as found.

    Args:
        model: pixels in [0, 1] to logits, its last layer linear.
        train: images to fit the head to.
        held_out: images to measure it on; those of the validation split.
        eps: eps_g, fraction of the pixel range, above 0.
        norm: of the ball.
        seed: draws the images, and keys the attack's noise by sample.
        batch_size: images at once.
        workers: processes that decode; images in memory need none.

    Raises:
        InvalidArgument: eps is 0.
        ModelError: no linear last layer is found, or none is reached.
    """
    if not eps > 0:
        raise InvalidArgument("eps", eps, "a strength above 0", "without one there is no ramp")
    module = module_of(local(model))
    if module is None:
        raise ModelError("a linear probe needs a torch module, whose features it can look at.")
    features = CountingModel(HeadInputs(module))
    device = next(module.parameters()).device

    def batches(split: Split, limit: int) -> Iterator[Batch]:
        part = _draw_images(split, limit, seed)
        return (batch.to(device) for batch in ordered_batches(part, batch_size, workers=workers))

    attack = Pgd(norm=norm, steps=10, iterate="adversarial")
    with frozen(module):
        head = _fit_head(features, batches(train, FITTED), len(train.class_names))
        right, labels = [], []
        for batch in batches(held_out, HELD_OUT):
            right.append(_still_right(head, batch, attack, eps, seed))
            labels.append(batch.labels)
    images = sum(len(part) for part in labels)
    return LinearProbeResult(
        fractions=(0.0, *FRACTIONS),
        accuracy=tuple(count / images for count in torch.cat(right).sum(0).tolist()),
        chance=chance_of(torch.cat(labels)),
        eps=eps,
        images=images,
        forwards=features.forwards,
        backwards=features.backwards,
    )


class HeadInputs:
    """A model up to its head: what enters the last linear layer, flattened to (N, F).

    timm names the heads of its models (two where there is a token for distillation: both count);
    in another module the head is the last linear layer.

    Attributes:
        module: pixels in [0, 1] to logits.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._heads = _heads(module)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features of images (N, C, H, W)."""
        with _record_inputs(self._heads) as entered:
            self.module(images)
        if not entered:
            raise ModelError("the model does not call its own head, so it has no features to see.")
        return torch.cat([value.flatten(1).float() for value in entered], 1)


@dataclass(frozen=True)
class Headed:
    """Features under a linear head; attacks see the module through them."""

    module: Model
    weight: Tensor
    bias: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (N, K)."""
        return self.module(images) @ self.weight.T + self.bias


def _heads(module: nn.Module) -> Sequence[nn.Module]:
    owner = module.backbone if isinstance(module, NormalizedModel) else module
    if hasattr(owner, "get_classifier"):
        return [owner.get_submodule(name) for name in head_modules(owner)]
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ModelError(
            "a linear probe needs a model whose last layer is linear; this one has no such."
        )
    return linear[-1:]


@contextmanager
def _record_inputs(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Give a list that collects what enters the modules; no hook is left behind."""
    entered: list[Tensor] = []
    hooks = [m.register_forward_pre_hook(lambda _, args: entered.append(args[0])) for m in modules]
    try:
        yield entered
    finally:
        for hook in hooks:
            hook.remove()


def _draw_images(split: Split, limit: int, seed: int) -> Split:
    """At most `limit` images, every class with its fraction."""
    if len(split) <= limit:
        return split
    return subset(split, limit=limit, stratified=True, seed=derive(seed, "probe"))


def _fit_head(features: CountingModel, batches: Iterable[Batch], num_classes: int) -> Headed:
    seen, labels = [], []
    with torch.no_grad():
        for batch in batches:
            seen.append(features(batch.pixels()))
            labels.append(batch.labels)
    weight, bias = ridge_head(torch.cat(seen), torch.cat(labels), num_classes)
    return Headed(features, weight.to(seen[0]), bias.to(seen[0]))


def _still_right(head: Headed, batch: Batch, attack: Attack, eps: float, seed: int) -> Tensor:
    """Whether each image is right without attack and up to each share, (N, 1 + shares) bool."""
    images, labels = batch.pixels(), batch.labels
    right = torch.zeros(len(batch), 1 + len(FRACTIONS), dtype=torch.bool, device=labels.device)
    right[:, 0] = _right(head, images, labels)
    for number, fraction in enumerate(FRACTIONS):
        rows = right[:, number].nonzero()[:, 0]
        if not len(rows):
            break
        noise = Noise.of(seed, batch.indices[rows], "probe", number)
        attacked = attack(head, images[rows], labels[rows], fraction * eps, noise)
        right[rows, number + 1] = _right(head, attacked, labels[rows])
    return right


def _right(head: Headed, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return head(images).argmax(1) == labels
