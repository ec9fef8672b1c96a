"""An attack at the current strength, as the function that an objective calls."""

from collections.abc import Callable

from torch import Tensor

from rampart.attacks.base import Attack, Features, with_fewer_steps
from rampart.attacks.frozen import Model
from rampart.losses import FeatureDistance, Loss
from rampart.objectives.base import Perturb
from rampart.runtime import Noise


def make_perturb(
    attack: Attack,
    model: Model,
    eps: float,
    noise: Noise,
    *,
    alpha: float = 1.0,
    fewer_steps: bool = False,
    fewest_steps: int = 2,
    start: Callable[[Tensor], Tensor] | None = None,
) -> Perturb:
    """Return the function that an objective calls to perturb images that were checked before.

    Args:
        attack: at full strength.
        model: pixels in [0, 1] to logits.
        eps: the current strength, a fraction of the pixel range above 0.
        noise: one key for each image.
        alpha: the current fraction of eps_g.
        fewer_steps: whether the attack takes fewer steps while alpha is small.
        fewest_steps: their smallest number.
        start: images (N, C, H, W) to the points at which the attack begins (see `Attack`).
    """
    chosen = with_fewer_steps(attack, alpha, fewest_steps) if fewer_steps else attack

    def perturb(images: Tensor, targets: Tensor, loss: Loss | None = None) -> Tensor:
        attacked = Features(model) if isinstance(loss, FeatureDistance) else model
        begin = start(images) if start else None
        return chosen.on_checked(attacked, images, targets, eps, noise, loss, begin)

    return perturb
