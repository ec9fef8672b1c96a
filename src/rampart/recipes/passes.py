"""The passes of a run for each image, counted as training counts them, on a small network.

A pass is one image forward or one image backward. The number depends on objective, attack and
schedule and not on the network, so a network of a few milliseconds gives the number of a large one.
"""

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from rampart.attacks.base import Attack, CountingModel, with_fewer_steps
from rampart.attacks.costs import attack_passes
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.objectives.base import Objective
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.guidance import computes_guidance, is_label_check
from rampart.recipes.validation import attacked_images, is_due, validation_attack
from rampart.runtime import Noise
from rampart.schedules.adaptive import longest_pilot
from rampart.schedules.preview import preview
from rampart.strategies.base import longest_probe
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.perturbing import make_perturb
from rampart.units import Horizon

#: Images and classes of the small network, and the side of the images in pixels.
_IMAGES, _CLASSES, _SIDE = 4, 10, 16
#: Positions in an epoch at which the strength is looked up.
_POSITIONS = 10


def training_passes(config: RunConfig) -> float:
    """Return the passes for each training image in a whole run.

    A schedule that follows the run is counted with the accuracies that `rampart preview` assumes,
    and with a pilot that takes all its epochs and fails. Monitors are not counted, nor are the
    further steps of an attack after the alert "catastrophic-overfitting".
    """
    counts, epochs = passes_over_run(config), config.training.epochs
    if not config.attacks or config.threat.eps == 0:
        return epochs * sum(counts) / len(counts)
    parts = config.components
    pilot = longest_pilot(parts.schedule.pilot, epochs)
    full = step_passes(parts.objective, parts.attack, True)
    clean = step_passes(parts.objective, parts.attack, False)
    lost = pilot * full
    if config.continues_baseline:
        # The epochs of the clean baseline become the first ones of the run.
        counts[: pilot * _POSITIONS] = [clean] * (pilot * _POSITIONS)
    else:
        lost += pilot * clean
    return epochs * sum(counts) / len(counts) + lost


def preparation_passes(config: RunConfig) -> int:
    """Return the passes for each training image before the first step of a run.

    They are those of the guidance for noisy labels and of a check of labels, which may share them.
    """
    guided = computes_guidance(config)
    checked = config.data.labels == "check" and not is_label_check(config)
    return guided + checked


def cost_of_steps(config: RunConfig, steps: int) -> Callable[[float], float]:
    """Return a function from a number of steps to the passes for each image of a batch until then.

    The steps of a run cost unequally: without an attack, a step costs a fraction.

    Args:
        config: of the run.
        steps: of the whole run.
    """
    total = np.cumsum([0.0, *passes_over_run(config)])
    places = np.linspace(0, steps, len(total))
    return lambda done: float(np.interp(done, places, total))


def passes_over_run(config: RunConfig) -> list[float]:
    """Return the passes for each image of a step, at places spread evenly over the run."""
    parts, attacked = config.components, config.attacks and config.threat.eps > 0
    fewer = config.training.attack_steps == "proportional"
    fewest, epochs = config.training.fewest_attack_steps, config.training.epochs
    strengths = [0.0] * epochs
    if attacked:
        probe = longest_probe(parts.strategies.values(), epochs)
        rows = preview(
            parts.schedule,
            config.threat.eps,
            Horizon(epochs, _POSITIONS),
            norm=config.threat.norm,
            probe=probe,
        )
        strengths = [row.alpha for row in rows]
    return [
        step_passes(
            parts.objective,
            with_fewer_steps(parts.attack, alpha, fewest) if fewer else parts.attack,
            alpha > 0,
        )
        for alpha in strengths
    ]


@cache
def step_passes(objective: Objective, attack: Attack, perturbed: bool) -> float:
    """Return the passes for each image of one training step, the mean over what it may draw."""
    each = [_passes_of(one, attack, perturbed) for one in objective.variants]
    return sum(each) / len(each)


def _passes_of(objective: Objective, attack: Attack, perturbed: bool) -> float:
    network, images, labels = _network(), *_batch()
    if objective.needs_strategy:
        network = copy.deepcopy(network)
        STRATEGIES.build(objective.needs_strategy).prepare(network, 0)
    model, attacked = CountingModel(network), CountingModel(network)
    perturb = make_perturb(attack, attacked, 1e-3, Noise.like(images)) if perturbed else None
    if objective.needs_guidance:
        certain = torch.nn.functional.one_hot(labels, _CLASSES).float()
        objective = objective.guided(certain, labels)
    numbered = objective.bind(network).of_images(torch.arange(_IMAGES))
    terms = numbered(model, images, labels, perturb)
    terms.loss.sum().backward()  # type: ignore[no-untyped-call]  # torch's
    network.zero_grad()
    counted = (model, attacked)
    passes = sum(one.forwards + one.backwards for one in counted) + terms.forwards
    return passes / len(images)


def validation_passes(config: RunConfig, training: int, validation: int) -> float:
    """Return the passes of the validation in a whole run.

    Args:
        config: of the run.
        training: number of training images.
        validation: number of validation images.
    """
    epochs, each = config.training.epochs, 0
    if config.threat.eps > 0:
        each = 1 + attack_passes(validation_attack(config), config.threat.norm, 10)
    attacks = sum(is_due(config, epoch) for epoch in range(1, epochs + 1))
    attacked = attacks * attacked_images(config, training, validation) * each
    best = evaluation_passes(config, 10) if config.training.checkpoint == "best" else 0
    return epochs * validation * (1 + best) + attacked


def evaluation_passes(config: RunConfig, classes: int) -> float:
    """Return the passes for each image of an evaluation whose attack never succeeds.

    The curve costs about as much as the attack at its largest strength.
    """
    if config.threat.eps == 0:
        return 1
    attack = config.components.evaluation_attack
    return 1 + attack_passes(attack, config.threat.norm, classes)


@cache
def _network() -> NormalizedModel:
    # Some objectives need BatchNorm.
    options = {"in_chans": 3, "norm": "batch"}
    return build_model(
        "rampart_glyphnet",
        num_classes=_CLASSES,
        pretrained=False,
        options=options,
        image_size=_SIDE,
    ).train()


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.linspace(0.1, 0.9, _IMAGES * 3 * _SIDE * _SIDE)
    return pixels.view(_IMAGES, 3, _SIDE, _SIDE), torch.arange(_IMAGES)
