"""Whether a run can be refined; what cannot is refused before any work."""

from pathlib import Path

import torch
from torch import nn

from rampart.errors import RunError
from rampart.evaluation.criticality import layers_in_use, layers_with_weights
from rampart.models.normalized import NormalizedModel
from rampart.models.weights import head_modules, is_head
from rampart.recipes.config.run_config import RunConfig
from rampart.schedules.preview import preview
from rampart.units import Horizon


def require_attacked(run: Path, config: RunConfig) -> None:
    """Refuse a run without adversarial training: its robustness is not there to be kept.

    Raises:
        RunError: no step of the training had an attack.
    """
    if config.attacks and _rises(config):
        return
    why = f"schedule={config.schedule.name}"
    if config.threat.eps == 0:
        why = "threat.eps=0"
    elif not config.components.objective.attacks:
        why = f"objective={config.objective.name}"
    raise RunError(
        f"{run} was not trained under an attack ({why}), so it has no robustness that a refinement "
        "could keep: give a run of adversarial training; `rampart train` continues any other run "
        "with model=local-dir:FOLDER."
    )


def _rises(config: RunConfig) -> bool:
    """Whether the schedule leaves eps = 0; one that follows the run may."""
    horizon = Horizon(config.training.epochs, 10)
    rows = preview(config.components.schedule, config.threat.eps, horizon, norm=config.threat.norm)
    return any(row.alpha > 0 for row in rows)


def trained_layers(run: Path, config: RunConfig, model: NormalizedModel) -> dict[str, nn.Parameter]:
    """Return the layers among which the least critical one is chosen.

    These are the layers with weights that the run trained and that the logits depend on: only those
    of the head where the backbone was frozen.

    Raises:
        RunError: fewer than two, so that there is nothing to choose.
    """
    side, device = model.image_size, model.mean.device
    image = torch.zeros(1, model.in_chans, side, side, device=device)
    found = layers_in_use(model, layers_with_weights(model.backbone), image)
    strategies = config.components.strategies
    frozen = [name for name, one in strategies.items() if one.backbone == "frozen"]
    why = f"strategies=[{frozen[0]}]" if frozen else "optimizer.backbone_lr=0"
    heads = head_modules(model.backbone)
    if frozen or config.optimizer.backbone_lr == 0:
        found = {name: weight for name, weight in found.items() if is_head(name, heads)}
    else:
        why = "the network has no others"
    if len(found) < 2:
        named = f"one layer with weights, '{next(iter(found))}'" if found else "no layer"
        raise RunError(
            f"{run} trained {named} ({why}), so there is no least critical one to choose: refine a "
            "run that trained at least two."
        )
    return found
