"""Module robust criticality: how far small changes of one layer's weights raise the robust loss.

A layer with a low criticality hardly matters to robustness, so that RiFT (Zhu et al. 2023, arXiv
2308.02533) fine-tunes it without an attack.

    for each of `steps`:
        w' = project(w + length * gradient / ||gradient||)   # onto ||w' - w0|| <= radius * ||w0||
        if the loss at w' is higher: w = w'
        else: length = length / 2                            # at first the radius of the ball
    criticality = loss at w - loss at w0                     # on fixed adversarial examples
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rampart.attacks.frozen import Model, frozen
from rampart.evaluation.inference import device_of, single_precision
from rampart.logits import is_correct
from rampart.restoring import in_mode, restored

#: Weights to the loss, and its gradient at the weights.
LossAt = Callable[[Tensor], tuple[float, Tensor]]
#: Images (N, C, H, W), pixels in [0, 1], and labels (N,), both on the device of the model.
Examples = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy, and accuracy in [0, 1]."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Criticality:
    """What the worst change of one layer's weights does to a model on adversarial examples.

    Attributes:
        module: name of the layer.
        weights: how many numbers its weight has.
        increase: of the mean cross-entropy; 0 or more.
        accuracy_drop: of the accuracy, a fraction in [-1, 1].
    """

    module: str
    weights: int
    increase: float
    accuracy_drop: float


def layers_with_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weight of every layer by the layer's name.

    A layer is a module with a parameter `weight` of two or more dimensions: convolutions, linear
    layers and embeddings, as in the published code. Scales of normalization layers, biases and
    weights that are all 0 are left out. A weight that two layers share is that of the first.
    """
    found: dict[str, nn.Parameter] = {}
    for name, module in network.named_modules():
        weight = module._parameters.get("weight")
        shared = any(weight is other for other in found.values())
        if weight is not None and weight.ndim > 1 and not shared and bool(weight.any()):
            found[name] = weight
    return found


def layers_in_use(
    model: nn.Module, layers: Mapping[str, nn.Parameter], images: Tensor
) -> dict[str, nn.Parameter]:
    """Return the layers on which the logits depend: some serve the pretraining only.

    Args:
        model: images to logits (N, K).
        layers: weights of the model by the name of their layer.
        images: one image or more, (N, C, H, W).
    """
    with _asking(*layers.values()), in_mode(model, training=False), torch.enable_grad():
        logits = model(images)
        gradients = torch.autograd.grad(logits.sum(), list(layers.values()), allow_unused=True)
    pairs = zip(layers.items(), gradients, strict=True)
    return {name: weight for (name, weight), gradient in pairs if gradient is not None}


def project(weight: Tensor, center: Tensor, radius: float) -> Tensor:
    """Return the point of the ball ||w - center||_2 <= radius that is nearest to `weight`.

    Args:
        weight: any shape.
        center: the same shape.
        radius: 0 or more.
    """
    change = weight - center
    length = change.norm()
    return weight if length <= radius else center + change * (radius / length)


def ascend(loss_at: LossAt, start: Tensor, radius: float, steps: int) -> tuple[Tensor, float]:
    """Return the weights of the ball with the highest loss found, and this loss.

    The ascent takes normalized gradient steps from the best point so far; the first is as long as
    the radius, and a step that does not raise the loss halves the length. More steps never find
    less.

    Args:
        loss_at: weights to the loss and its gradient.
        start: center of the ball, any shape.
        radius: of the ball in the L2 norm.
        steps: how often the loss is computed, besides that at the start.
    """
    best, (highest, gradient), length = start, loss_at(start), radius
    for _ in range(steps):
        norm = gradient.norm()
        if not (norm > 0 and norm.isfinite()):
            break
        point = project(best + gradient * (length / norm), start, radius)
        found, direction = loss_at(point)
        if found > highest:
            best, highest, gradient = point, found, direction
        else:
            length /= 2
    return best, highest


def module_criticality(
    model: Model,
    module: str,
    weight: nn.Parameter,
    examples: Examples,
    *,
    radius: float = 0.1,
    steps: int = 10,
    trained: Score | None = None,
) -> Criticality:
    """Return the criticality of one layer.

    The model is in eval mode and in float32 meanwhile, and is restored.

    Args:
        model: images to logits (N, K).
        module: name of the layer, for the result.
        weight: of the layer, a parameter of the model.
        examples: adversarial examples of the model; they stay fixed.
        radius: of the ball of changes, as a fraction of the norm of the weight.
        steps: of the gradient ascent; the published number of passes over the examples.
        trained: the score of the model as it is, if it is known.
    """
    with frozen(model), single_precision(device_of(model)), restored([weight]):
        trained = trained or score(model, examples)
        center = weight.detach().clone()
        most = radius * float(center.norm())
        with _asking(weight):
            worst, highest = ascend(_loss_of(model, weight, examples), center, most, steps)
        _put(weight, worst)
        after = score(model, examples)
    increase = max(0.0, highest - trained.loss)
    return Criticality(module, weight.numel(), increase, trained.accuracy - after.accuracy)


def score(model: Model, examples: Examples) -> Score:
    """Return mean cross-entropy and accuracy of a model in its mode."""
    total = right = count = 0.0
    with torch.no_grad(), single_precision(device_of(model)):
        for images, labels in examples:
            logits = model(images).float()
            total += float(cross_entropy(logits, labels, reduction="sum"))
            right += float(is_correct(logits, labels).sum())
            count += len(labels)
    return Score(total / count, right / count)


def _loss_of(model: Model, weight: nn.Parameter, examples: Examples) -> LossAt:
    """Return the mean cross-entropy over the examples as a function of the weight."""
    count = sum(len(labels) for _, labels in examples)

    def loss_at(values: Tensor) -> tuple[float, Tensor]:
        _put(weight, values)
        total, gradient = 0.0, torch.zeros_like(values)
        for images, labels in examples:
            with torch.enable_grad():
                loss = cross_entropy(model(images).float(), labels, reduction="sum")
            (part,) = torch.autograd.grad(loss, weight)
            total, gradient = total + float(loss.detach()), gradient.add_(part)
        return total / count, gradient.div_(count)

    return loss_at


@contextmanager
def _asking(*weights: nn.Parameter) -> Iterator[None]:
    """Let weights ask for a gradient inside the block."""
    before = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight, asked in zip(weights, before, strict=True):
            weight.requires_grad_(asked)


def _put(weight: nn.Parameter, values: Tensor) -> None:
    with torch.no_grad():
        weight.copy_(values)
