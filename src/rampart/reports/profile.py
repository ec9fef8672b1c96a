"""The profile of a model as a table, and its files: threats side by side."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rampart.checksums import with_checksum
from rampart.counting import counted
from rampart.files import write_atomic
from rampart.records.profile import MIDDLE_SEVERITY, Profile, profile_summary
from rampart.records.standing import standing
from rampart.reports.percent import number, percent
from rampart.reports.profile_picture import save_profile_picture
from rampart.runs.profile_folder import ProfileFolder
from rampart.units import SEVERITIES, format_eps

#: The places of a corruption's range.
_SEVERITIES = f"severity {MIDDLE_SEVERITY}, {SEVERITIES[-1]}"
#: The columns with figures, and their headings.
_FIGURES = {
    "clean": "clean",
    "half": "at half",
    "largest": "at the largest",
    "expected": "expected",
}


def profile_facts(profile: Profile) -> dict[str, Any]:
    """Return the summary of a profile, and under "standing" its place among published runs."""
    return {**profile_summary(profile), "standing": standing(profile)}


def profile_rows(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the cells of the table of a profile: one row per threat, and the worst of all.

    Args:
        facts: of `rampart.records.profile.profile_summary`.
    """
    rows = [
        _row(
            one["norm"],
            f"{format_eps(one['half_eps'])}, {format_eps(one['eps'])}",
            one,
        )
        for one in facts["threats"]
    ]
    if corruptions := facts["corruptions"]:
        kinds = list(corruptions["kinds"])
        name = kinds[0] if len(kinds) == 1 else f"{len(kinds)} corruptions"
        rows.append(_row(name, _SEVERITIES, corruptions))
    if len(facts["worst"]["threats"]) == 1:
        return rows
    return [*rows, _row("worst of all", "", facts["worst"])]


def kind_rows(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the cells of the table of corruptions: one row per kind; empty without any."""
    kinds = (facts["corruptions"] or {}).get("kinds", {})
    return [_row(kind, _SEVERITIES, one) for kind, one in kinds.items()]


def profile_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the headline and the table of a profile as lines of text."""
    attack = f", attack {facts['attack']}" if facts["attack"] else ""
    head = (
        f"{facts['model']}: {counted(facts['n'], 'image')}{attack}, accuracy in percent with "
        f"{100 * facts['confidence']:g} % intervals"
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
    """Write the summary, the tables and the picture of a profile; return the summary.

    Raises:
        RunError: the folder cannot be written.
    """
    facts = profile_facts(profile)
    save_profile_picture(facts, folder.picture, title)
    tables = [_markdown(rows) for rows in (profile_rows(facts), kind_rows(facts)) if rows]
    write_atomic(folder.table, "\n".join(tables) + _footer(facts))
    write_atomic(folder.summary, json.dumps(with_checksum(facts), indent=1) + "\n")
    return facts


def _row(name: str, strengths: str, figures: Mapping[str, Any]) -> dict[str, str]:
    return {"threat": name, "half, largest": strengths, **_cells(figures)}


def _cells(figures: Mapping[str, Any]) -> dict[str, str]:
    return {heading: _spell(figures[key]) for key, heading in _FIGURES.items()}


def _spell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def _notes(facts: Mapping[str, Any]) -> list[str]:
    """Return the sentences below the table."""
    notes = []
    if len(facts["worst"]["threats"]) > 1:
        kept = percent(facts["worst"]["half"]["value"])
        notes.append(f"at half of each range {kept} of the images withstand every threat")
        name, value = min(_at_half(facts).items(), key=lambda item: item[1])
        notes.append(f"accuracy at half of the range is lowest under {name}, {percent(value)}")
    unsure = [one["norm"] for one in facts["threats"] if one["checks"] in ("warn", "fail")]
    if unsure:
        notes.append(
            f"checks of {', '.join(unsure)} warn or fail: read them before you use the numbers"
        )
    return [*notes, *standing_lines(facts["standing"])] if "standing" in facts else notes


def standing_lines(found: Mapping[str, Any]) -> list[str]:
    """Return where a model stands among published runs (`rampart.records.standing`)."""
    lines = [_spell_place(one, found) for one in found["places"]]
    for figure, reason in found["missing"].items():
        under = "" if figure == "all" else f" under {figure}"
        lines.append(f"no published run to compare with{under} ({found['source']}): {reason}")
    return lines


def _spell_place(one: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    where = "clean" if one["figure"] == "clean" else f"{one['figure']} {one['strength']}"
    note = f" ({one['note']})" if one["note"] else ""
    return (
        f"{where}: {percent(one['value'])} is above {one['below']} of {one['runs']} published runs "
        f"on {found['data']} ({found['source']}; median {percent(one['median'])}, best "
        f"{percent(one['best'])}){note}"
    )


def _at_half(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return accuracy at half of its range for each norm and each kind of corruption."""
    norms = {one["norm"]: one["half"]["value"] for one in facts["threats"]}
    kinds = (facts["corruptions"] or {}).get("kinds", {})
    return {**norms, **{kind: one["half"]["value"] for kind, one in kinds.items()}}


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    header = list(rows[0])
    rule = [":--" if key in ("threat", "half, largest") else "--:" for key in header]
    lines = [header, rule, *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _footer(facts: Mapping[str, Any]) -> str:
    # The head begins with the name of the model, which stays as it is spelled.
    notes = [f"{line[0].upper()}{line[1:]}" for line in _notes(facts)]
    return "".join(f"\n{line}.\n" for line in (profile_lines(facts)[0], *notes))
