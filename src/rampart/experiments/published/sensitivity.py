"""The figures over T1 and T2: the publication's table 7 as a map."""

from collections.abc import Iterator, Sequence

from rampart.experiments.published.conditions import Condition, Results
from rampart.experiments.published.counterparts import counterpart_in
from rampart.experiments.published.tables import Compared
from rampart.experiments.study_folder import file_name
from rampart.experiments.study_table import MEASURES
from rampart.reports.heat_map import Tile, Tiles
from rampart.units import format_eps

#: A map needs at least so many pairs of T1 and T2.
_LEAST = 3


def sensitivity_maps(
    results: Sequence[Results],
) -> Iterator[tuple[str, str, dict[str, Tiles]]]:
    """Yield name, title and tiles for every backbone, dataset and strength with several T1, T2."""
    timed = [one for one in results if one.condition.start is not None]
    places = dict.fromkeys(_place(one.condition) for one in timed)
    for place in places:
        own = {
            (_round(one.condition.start), _round(one.condition.end)): one
            for one in reversed(timed)
            if _place(one.condition) == place
        }
        if len(own) < _LEAST:
            continue
        backbone, dataset, eps = place
        where = "-".join(map(file_name, (format_eps(eps), dataset, backbone)))
        title = f"T1 and T2: {backbone} on {dataset}, trained at {format_eps(eps)}, percent"
        maps: dict[str, Tiles] = {
            measure: {times: _tile(one, measure) for times, one in own.items()}
            for measure in MEASURES
        }
        yield f"hinges-{where}", title, maps


def _place(condition: Condition) -> tuple[str, str, float]:
    return condition.backbone, condition.dataset, condition.eps


def _round(time: float | None) -> float:
    assert time is not None, "only conditions with times are mapped"
    return round(time, 1)


def _tile(one: Results, measure: str) -> Tile:
    row = counterpart_in(one.condition, (7,))
    found = Compared(tuple(one.values(measure)), getattr(row, measure) if row else None)
    return Tile(found.mean, found.published)
