"""Several defenses, of which each step draws one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

# The usual defenses are registered there.
import rampart.objectives.adversarial
import rampart.objectives.mart  # noqa: F401
from rampart.errors import InvalidArgument
from rampart.objectives.base import OBJECTIVES, Incomplete, Objective
from rampart.runtime import derive

if TYPE_CHECKING:
    from torch import nn


@OBJECTIVES.register("drawn")
@dataclass(frozen=True)
class Drawn(Incomplete):
    """One of several defenses in each step, drawn at random, as in HyperAT (arXiv 2410.05951).

    Every defense is equally likely. The draw is keyed by (seed, step): every process and a resumed
    run draw the same. Micro-batches of a step share its defense. The label smoothing is that of
    every defense that does not set its own.

    Attributes:
        defenses: names of objectives that use an attack, two or more, each once; with options as
            `{name: trades, beta: 6}`.
    """

    defenses: tuple[str | dict[str, Any], ...] = ("adversarial", "trades", "mart")

    lacks: ClassVar[str] = (
        "objective=drawn has another loss in each step: call the variant with the number "
        "draw(seed, step)."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # A recorded configuration states the options that were left out.
        full = tuple(OBJECTIVES.dump(one) for one in self.variants)
        object.__setattr__(self, "defenses", full)
        names = [one["name"] for one in full]
        if len(names) < 2:
            raise InvalidArgument(
                "defenses", names, "two defenses or more", "to use one, write it as the objective"
            )
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InvalidArgument("defenses", twice[0], "each name once")

    # A mapping has no hash; the objectives that it builds have one.
    def __hash__(self) -> int:
        return hash(self.variants)

    @cached_property
    def variants(self) -> tuple[Objective, ...]:
        """The defenses, in their order."""
        return tuple(self._build(one) for one in self.defenses)

    @property
    def chooses_loss(self) -> bool:
        """Whether that of one of the defenses is chosen."""
        return any(one.chooses_loss for one in self.variants)

    @property
    def flat_at_image(self) -> bool:
        """Whether that of one of the defenses is flat."""
        return any(one.flat_at_image for one in self.variants)

    def draw(self, seed: int, step: int) -> int:
        """Return the number of the defense that a step takes."""
        return derive(seed, "defense", step) % len(self.variants)

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective with every defense bound to this model."""
        bound = copy(self)
        bound.__dict__["variants"] = tuple(one.bind(model) for one in self.variants)
        return bound

    def _build(self, defense: str | Mapping[str, Any]) -> Objective:
        options = {"name": defense} if isinstance(defense, str) else dict(defense)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise InvalidArgument("defenses", defense, "a name", "write {name: trades, beta: 6}")
        cls = OBJECTIVES.get(name, "objective.defenses")
        needs = cls.needs_guidance or cls.needs_batch_norm or cls.needs_strategy or cls.anchors
        # Only the variants of a step are asked, so none can remember earlier steps.
        if needs or cls.remembers or issubclass(cls, Incomplete) or not cls.attacks:
            expected = "objectives that use an attack and nothing besides the model and the batch"
            raise InvalidArgument("defenses", name, expected)
        options = {"label_smoothing": self.label_smoothing, **options}
        return OBJECTIVES.build(name, options, "objective.defenses")
