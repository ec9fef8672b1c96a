"""The profile of a model as a table, and its files: threats side by side."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rampart.checksums import with_checksum
from rampart.counting import counted
from rampart.files import write_atomic
from rampart.records.profile import Profile, profile_summary
from rampart.reports.percent import number, percent
from rampart.reports.profile_picture import save_profile_picture
from rampart.runs.profile_folder import ProfileFolder
from rampart.units import format_eps

#: The columns with figures, and their headings.
_FIGURES = {
    "clean": "clean",
    "half": "at half",
    "largest": "at the largest",
    "expected": "expected",
}


def profile_rows(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the cells of the table of a profile: one row per threat, and the worst of all.

    Args:
        facts: of `rampart.records.profile.profile_summary`.
    """
    rows = [
        {
            "threat": one["norm"],
            "half, largest": f"{format_eps(one['half_eps'])}, {format_eps(one['eps'])}",
            **_cells(one),
        }
        for one in facts["threats"]
    ]
    if len(rows) == 1:
        return rows
    return [*rows, {"threat": "worst of all", "half, largest": "", **_cells(facts["worst"])}]


def profile_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the headline and the table of a profile as lines of text."""
    head = (
        f"{facts['model']}: {counted(facts['n'], 'image')}, {facts['attack']}, accuracy in percent "
        f"with {100 * facts['confidence']:g} % intervals"
    )
    rows = profile_rows(facts)
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    table = [{key: key for key in widths}, *rows]
    return [
        head,
        *("  ".join(row[key].ljust(widths[key]) for key in widths).rstrip() for row in table),
        *_notes(facts),
    ]


def write_profile(profile: Profile, folder: ProfileFolder, title: str) -> dict[str, Any]:
    """Write the summary, the table and the picture of a profile; return the summary.

    Raises:
        RunError: the folder cannot be written.
    """
    facts = profile_summary(profile)
    save_profile_picture(facts, folder.picture, title)
    write_atomic(folder.table, _markdown(profile_rows(facts)) + _footer(facts))
    write_atomic(folder.summary, json.dumps(with_checksum(facts), indent=1) + "\n")
    return facts


def worst_threat(facts: Mapping[str, Any], place: str = "half") -> str:
    """Return the threat under which accuracy is lowest at a place of the range."""
    return str(min(facts["threats"], key=lambda one: one[place]["value"])["norm"])


def _cells(figures: Mapping[str, Any]) -> dict[str, str]:
    return {heading: _spell(figures[key]) for key, heading in _FIGURES.items()}


def _spell(figure: Mapping[str, float]) -> str:
    return f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def _notes(facts: Mapping[str, Any]) -> list[str]:
    if len(facts["threats"]) == 1:
        return []
    kept, name = facts["worst"]["half"]["value"], worst_threat(facts)
    lines = [
        f"at half of the largest strengths {percent(kept)} of the images withstand every threat; "
        f"{name} breaks most"
    ]
    unsure = [one["norm"] for one in facts["threats"] if one["checks"] in ("warn", "fail")]
    if unsure:
        lines.append(
            f"checks of {', '.join(unsure)} warn or fail: read them before you use the numbers"
        )
    return lines


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    header = list(rows[0])
    rule = [":--" if key in ("threat", "half, largest") else "--:" for key in header]
    lines = [header, rule, *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _footer(facts: Mapping[str, Any]) -> str:
    lines = profile_lines(facts)
    notes = [lines[0], *_notes(facts)]
    return "".join(f"\n{line[0].upper()}{line[1:]}.\n" for line in notes)
