"""The threats of a profile: their names, and the strengths that are usual for the images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from rampart.errors import InvalidArgument, UnknownName
from rampart.published import BENCHMARK_SIDE, BENCHMARK_STRENGTHS
from rampart.recipes.config.loading import change_config
from rampart.recipes.config.run_config import RunConfig
from rampart.strengths import usual_strengths
from rampart.units import NORMS, Norm, format_eps, parse_eps

#: The strengths as fractions of the largest one, dense where accuracy usually falls.
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
#: The largest strength is this many times the usual one: half of it is the usual one.
_RANGE = 2

Threats = str | Iterable[str] | Mapping[str, str | float | None]


@dataclass(frozen=True)
class Threat:
    """A threat of a profile.

    Attributes:
        norm: of the ball.
        eps: the largest strength; None for twice the usual one.
    """

    norm: Norm
    eps: float | None = None

    def grid(self, shape: Sequence[int]) -> tuple[float, ...]:
        """Return the strengths above 0 for images (C, H, W), at the default range from a small one.

        They contain half of the largest one and, within the range, the strength of the benchmark's
        published figures at 3 x 224 x 224.

        Raises:
            InvalidArgument: the images are so large that the range exceeds that of eps.
        """
        eps = self.eps or _RANGE * usual_strengths(self.norm, shape).usual
        eps = parse_eps(eps, self.norm, "threats")
        found = {fraction * eps for fraction in FRACTIONS}
        published = BENCHMARK_STRENGTHS[self.norm]
        near = any(abs(one - published) < 1e-9 * eps for one in found)
        if tuple(shape) == (3, BENCHMARK_SIDE, BENCHMARK_SIDE) and published < eps and not near:
            found.add(published)
        return tuple(sorted(found))

    def config(self, config: RunConfig, shape: Sequence[int]) -> RunConfig:
        """Return the configuration of the evaluation under this threat."""
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
        threats: names, each with its largest strength or without: "linf,l2=1", ["linf", "l2=1"] or
            {"linf": "8/255", "l2": None}.

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
    found = tuple(_threat(name, eps) for name, eps in named)
    names = [one.norm for one in found]
    if not names or len(set(names)) < len(names):
        got = ", ".join(names) or "none"
        raise InvalidArgument("threats", got, "each threat once", f"such as {','.join(NORMS)}")
    return found


def _threat(name: str, eps: str | float | None) -> Threat:
    for norm in NORMS:
        if name == norm:
            return Threat(norm, None if eps is None else _positive(eps, norm))
    raise UnknownName("threat", name, get_args(Norm))


def _positive(eps: str | float, norm: Norm) -> float:
    value = parse_eps(eps, norm, "threats")
    if value == 0:
        raise InvalidArgument("threats", f"{norm}={eps}", "a largest strength above 0")
    return value
