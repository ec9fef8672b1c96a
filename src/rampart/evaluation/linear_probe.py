"""How robust a model is before training: the accuracy of a linear probe under attack."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from rampart.attacks.base import Attack
from rampart.attacks.frozen import Model, frozen, local, module_of
from rampart.attacks.pgd import Pgd
from rampart.data.batches import Batch, ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.errors import InvalidArgument, ModelError
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.ridge import ridge_head
from rampart.logits import is_correct
from rampart.models.normalized import NormalizedModel
from rampart.models.weights import head_modules
from rampart.progress.work import watched
from rampart.runtime import Noise, derive
from rampart.skill import chance_of, clearly_above
from rampart.threat import per_sample
from rampart.units import Norm, format_eps

#: The strengths of the attack, as fractions of eps_g.
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
#: Number of training images to fit the head, and of held-out images to measure it.
FITTED, HELD_OUT = 1024, 128
#: Fraction of the accuracy beyond chance that must remain where the ramp starts.
ENOUGH = 0.5


@dataclass(frozen=True)
class LinearProbeResult:
    """The accuracy of a linear head on the features of a backbone, without and under attack.

    Attributes:
        fractions: strengths as fractions of eps_g, ascending from 0 to 1.
        accuracy: fraction of the held-out images that is correct at each strength and all smaller
            ones; the first is the clean accuracy.
        chance: accuracy of the best constant prediction.
        eps: eps_g, fraction of the pixel range.
        images: number of held-out images.
        forwards: number of samples passed forward.
        backwards: number of samples passed backward.
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
        """The cost of the linear probe: forwards plus backwards."""
        return self.forwards + self.backwards

    @property
    def informative(self) -> bool:
        """Whether the clean accuracy is three standard errors of chance above chance.

        If it is not, an attack has nothing to lower.
        """
        return clearly_above(self.accuracy[0], self.chance, self.images)

    @property
    def retained(self) -> tuple[float, ...]:
        """Fraction of the clean accuracy beyond chance that remains at each strength."""
        beyond = [max(0.0, accuracy - self.chance) for accuracy in self.accuracy]
        if not beyond[0]:
            return (0.0,) * len(beyond)
        return tuple(accumulate((part / beyond[0] for part in beyond), min))

    @property
    def start(self) -> float:
        """Largest fraction of eps_g at which half of the accuracy beyond chance remains.

        A ramp is needed because an attack on features that are not robust hides the classes, so
        that no head can be fitted. If a head fitted to clean images keeps half of its accuracy
        under attack, the pretrained features show the classes under attack too, and smaller
        strengths are not needed. Half is a convention, not a measured optimum. Between two measured
        strengths the result is interpolated linearly. Below the first one it is 0: every network
        keeps all of its accuracy at 0, so interpolation would give eps_g/8 to a network that keeps
        nothing at eps_g/4.

        The result may be too low. A head fitted to clean images may use features that a robust
        backbone has suppressed but not removed. A backbone that is not robust may also adapt at
        full strength if the task is easy, which a linear probe cannot measure.
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
        """How robust the backbone is and where the ramp starts, in one sentence."""
        if not self.informative:
            return (
                f"the backbone's robustness is unknown: the clean accuracy of its linear probe, "
                f"{self.accuracy[0]:.0%}, is not clearly above chance "
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
            f"at {format_eps(self.fractions[index] * self.eps, self.eps)} the linear probe keeps "
            f"{self.retained[index]:.0%} of its accuracy beyond chance "
            f"(clean accuracy {self.accuracy[0]:.0%})"
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
    """Measure how robust the features of a model are.

    It fits a new head to at most 1024 training images by ridge regression. PGD (10 steps,
    cross-entropy) attacks the head on at most 128 held-out images at a quarter, a half, three
    quarters and all of eps. An image that is misclassified at one strength counts as misclassified
    at the larger ones and is not attacked there, so less robust models cost less. Images and noise
    depend on the seed alone, and the result does not depend on the batch size. The model is
    restored.

    Args:
        model: pixels in [0, 1] to logits; its last layer is linear.
        train: images to fit the head.
        held_out: images to measure it, from the validation split.
        eps: eps_g, fraction of the pixel range, above 0.
        norm: norm of the ball.
        seed: selects the images and keys the noise of the attack.
        batch_size: images per batch.
        workers: number of processes that decode images; 0 for images in memory.

    Raises:
        InvalidArgument: eps is 0.
        ModelError: the model has no linear last layer, or does not call it.
    """
    if not eps > 0:
        raise InvalidArgument("eps", eps, "a strength above 0", "a ramp needs a target strength")
    module = module_of(local(model))
    if module is None:
        raise ModelError(f"model={type(model).__name__}: a linear probe needs a torch module.")
    inputs = HeadInputs(module)
    features = QueriedFeatures(inputs)
    device = next(module.parameters()).device

    def batches(split: Split, limit: int) -> Iterator[Batch]:
        part = _draw_images(split, limit, seed)
        return (batch.to(device) for batch in ordered_batches(part, batch_size, workers=workers))

    attack = Pgd(norm=norm, steps=10, iterate="adversarial")
    with frozen(module):
        number = min(FITTED, len(train))
        shown = watched(batches(train, FITTED), "linear probe", number, count=len)
        fitted = _fit_head(features, shown, len(train.class_names))
        head = QueriedModel(Headed(inputs, *fitted))
        right, labels = [], []
        number = min(HELD_OUT, len(held_out))
        shown = watched(batches(held_out, HELD_OUT), "attacking the probe", number, count=len)
        for batch in shown:
            right.append(_still_right(head, batch, attack, eps, seed))
            labels.append(batch.labels)
    images = sum(len(part) for part in labels)
    return LinearProbeResult(
        fractions=(0.0, *FRACTIONS),
        accuracy=tuple(count / images for count in torch.cat(right).sum(0).tolist()),
        chance=chance_of(torch.cat(labels)),
        eps=eps,
        images=images,
        forwards=features.forwards + head.forwards,
        backwards=head.backwards,
    )


class QueriedFeatures(QueriedModel):
    """Queries features (N, F), of which there may be one, in place of logits."""

    def _read(self, output: object, n: int) -> Tensor:
        assert isinstance(output, Tensor)
        return output


class HeadInputs:
    """A model without its head: returns the inputs of the last linear layer, flattened to (N, F).

    For timm models the heads are those that timm names; a model with a distillation token has two,
    and both are used. In other modules the head is the last linear layer.

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
            raise ModelError("the model does not call its head, so a linear probe has no features.")
        return torch.cat([value.flatten(1).float() for value in entered], 1)


@dataclass(frozen=True)
class Headed:
    """A feature extractor with a linear head; attacks freeze and restore `module`."""

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
        raise ModelError("the model has no linear layer; a linear probe needs a linear last layer.")
    return linear[-1:]


@contextmanager
def _record_inputs(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Yield a list that collects the inputs of the modules; remove the hooks afterwards."""
    entered: list[Tensor] = []
    hooks = [m.register_forward_pre_hook(lambda _, args: entered.append(args[0])) for m in modules]
    try:
        yield entered
    finally:
        for hook in hooks:
            hook.remove()


def _draw_images(split: Split, limit: int, seed: int) -> Split:
    """Return at most `limit` images, stratified by class."""
    if len(split) <= limit:
        return split
    return subset(split, limit=limit, stratified=True, seed=derive(seed, "probe"))


def _fit_head(features: Model, batches: Iterable[Batch], num_classes: int) -> tuple[Tensor, Tensor]:
    """Return weight (K, F) and bias (K,) of a head on the features."""
    seen, labels = [], []
    with torch.no_grad():
        for batch in batches:
            seen.append(features(batch.pixels()))
            labels.append(batch.labels)
    weight, bias = ridge_head(torch.cat(seen), torch.cat(labels), num_classes)
    return weight.to(seen[0]), bias.to(seen[0])


def _still_right(head: Model, batch: Batch, attack: Attack, eps: float, seed: int) -> Tensor:
    """Return whether each image is correct clean and up to each strength, (N, 1 + S) bool."""
    images, labels = batch.pixels(), batch.labels
    right = torch.zeros(len(batch), 1 + len(FRACTIONS), dtype=torch.bool, device=labels.device)
    right[:, 0] = _right(head, images, labels)
    for number, fraction in enumerate(FRACTIONS):
        rows = right[:, number].nonzero()[:, 0]
        if not len(rows):
            break
        noise = Noise.of(seed, batch.indices[rows], "probe", number)
        strengths = per_sample(fraction * eps, images[rows])
        attacked = attack(head, images[rows], labels[rows], strengths, noise)
        right[rows, number + 1] = _right(head, attacked, labels[rows])
    return right


def _right(head: Model, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return is_correct(head(images), labels)
