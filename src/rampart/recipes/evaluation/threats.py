"""The threats of a profile: their names, and the strengths that are usual for the images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rampart.errors import InvalidArgument, UnknownName
from rampart.published import BENCHMARK_SIDE, BENCHMARK_STRENGTHS
from rampart.recipes.config.loading import change_config
from rampart.recipes.config.run_config import RunConfig
from rampart.strengths import usual_strengths
from rampart.units import (
    CORRUPTIONS,
    NORMS,
    Corruption,
    Norm,
    Perturbation,
    format_eps,
    parse_eps,
    require_norm,
)

#: The strengths as fractions of the largest one, dense where accuracy usually falls.
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
#: The largest strength is this many times the usual one: half of it is the usual one.
_RANGE = 2

#: The name of all corruptions together.
ALL_CORRUPTIONS = "corruptions"

Threats = str | Iterable[str] | Mapping[str, str | float | None]


@dataclass(frozen=True)
class Threat:
    """A threat of a profile: a norm, or a common corruption with its severities 1 to 5.

    Attributes:
        norm: of the ball, or the kind of the corruption.
        eps: the largest strength; None for twice the usual one, and for a corruption.
    """

    norm: Perturbation
    eps: float | None = None

    @property
    def corruption(self) -> Corruption | None:
        """The kind of a corruption; None for a norm."""
        return next((kind for kind in CORRUPTIONS if kind == self.norm), None)

    def grid(self, shape: Sequence[int]) -> tuple[float, ...]:
        """Return the strengths above 0 for images (C, H, W), at the default range from a small one.

        They contain half of the largest one and, within the range, the strength of the benchmark's
        published figures at 3 x 224 x 224.

        Raises:
            InvalidArgument: the images are so large that the range exceeds that of eps.
        """
        norm = require_norm(self.norm, "threat")
        eps = parse_eps(self.eps or _RANGE * usual_strengths(norm, shape).usual, norm, "threats")
        found = {fraction * eps for fraction in FRACTIONS}
        published = BENCHMARK_STRENGTHS[norm]
        near = any(abs(one - published) < 1e-9 * eps for one in found)
        if tuple(shape) == (3, BENCHMARK_SIDE, BENCHMARK_SIDE) and published < eps and not near:
            found.add(published)
        return tuple(sorted(found))

    def config(self, config: RunConfig, shape: Sequence[int]) -> RunConfig:
        """Return the configuration of the evaluation under this threat.

        A corruption has no strengths of its own there.
        """
        if self.corruption:
            return config
        grid = [format_eps(one, exact=True) for one in self.grid(shape)]
        changes = (
            f"threat.norm={self.norm}",
            f"threat.eps={grid[-1]}",
            f"evaluation.strengths=[{', '.join(grid)}]",
            "evaluation.resolution=null",
        )
        return change_config(config, changes)


def parse_threats(threats: Threats) -> tuple[Threat, ...]:
    """Return threats from their names, in the order given.

    Args:
        threats: names, a norm with its largest strength or without: "linf,l2=1", ["linf", "l2=1"]
            or {"linf": "8/255", "l2": None}. "corruptions" stands for all of them, and each also
            has its own name, such as "fog".

    Raises:
        UnknownName: an unknown threat.
        InvalidArgument: no threat, one named twice, or a strength out of range.

    Example:
        >>> parse_threats("l2=1,linf")
        (Threat(norm='l2', eps=1.0), Threat(norm='linf', eps=None))
    """
    if isinstance(threats, Mapping):
        named = list(threats.items())
    else:
        words = threats.split(",") if isinstance(threats, str) else list(threats)
        pairs = (word.partition("=") for word in words)
        named = [(name.strip(), eps.strip() if equals else None) for name, equals, eps in pairs]
    found = tuple(one for name, eps in named for one in _threats(name, eps))
    names = [one.norm for one in found]
    if not names or len(set(names)) < len(names):
        got = ", ".join(names) or "none"
        raise InvalidArgument("threats", got, "each threat once", f"such as {','.join(NORMS)}")
    return found


def _threats(name: str, eps: str | float | None) -> list[Threat]:
    """Return a threat, or every corruption for their common name."""
    for norm in NORMS:
        if name == norm:
            return [Threat(norm, None if eps is None else _positive(eps, norm))]
    kinds = CORRUPTIONS if name == ALL_CORRUPTIONS else [k for k in CORRUPTIONS if name == k]
    if not kinds:
        raise UnknownName("threat", name, (*NORMS, ALL_CORRUPTIONS, *CORRUPTIONS))
    if eps is not None:
        expected = f"{name} alone, because corruptions have the severities 1 to 5"
        raise InvalidArgument("threats", f"{name}={eps}", expected)
    return [Threat(kind) for kind in kinds]


def _positive(eps: str | float, norm: Norm) -> float:
    value = parse_eps(eps, norm, "threats")
    if value == 0:
        raise InvalidArgument("threats", f"{norm}={eps}", "a largest strength above 0")
    return value
