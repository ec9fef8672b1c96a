"""`rampart models`."""

from typing import TYPE_CHECKING, Any

import typer

from rampart.cli.json_output import Json, print_json

if TYPE_CHECKING:
    from rampart.models.catalogue import Entry
    from rampart.models.sources import Source


def models(
    name: str = typer.Argument(
        "",
        metavar="NAME",
        help="A name of the list, such as ares:swinb_at, or anything that model= takes.",
        show_default=False,
    ),
    as_json: bool = Json,
) -> None:
    """List the backbones that Rampart knows by name, or show one.

    Nothing is downloaded. Every other model of timm is a backbone too.
    """
    from rampart.cli.console import console

    name = name.removeprefix("model=")
    if as_json:
        print_json(_as_json(name))
        return
    for line in _show(name) if name else _list():
        console.say(line)


def _as_json(name: str) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the facts about all backbones, or about one."""
    from rampart.models.catalogue import catalogue

    if not name:
        return [_as_json_entry(entry) for entry in catalogue().values()]
    if name in catalogue():
        return _as_json_entry(catalogue()[name])
    from rampart.models.sources import find_source

    source = find_source(name)
    mean, std = source.normalization(source.in_chans)
    return {
        "name": name,
        "timm": source.architecture,
        "image_size": source.image_size,
        "in_chans": source.in_chans,
        "mean": mean,
        "std": std,
        "classes": source.pretrained_cfg.get("num_classes"),
        "weights": source.has_weights,
        "license": source.pretrained_cfg.get("license"),
    }


def _as_json_entry(entry: "Entry") -> dict[str, Any]:
    return {**vars(entry), "kind": _kind(entry), "cached": bool(_cached(entry))}


def _list() -> list[str]:
    from rampart.models.catalogue import catalogue

    head = ("model=", "timm", "kind", "clean", "AA", "license", "cache")
    rows = [head, *(_row(entry) for entry in catalogue().values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
        "clean and AA: published accuracy on ImageNet in percent, AA by AutoAttack at Linf 4/255.",
        "`rampart models NAME` shows one. Every model of timm is a backbone too.",
    ]


def _row(entry: "Entry") -> tuple[str, ...]:
    return (
        entry.name,
        entry.timm or "cannot be loaded",
        _kind(entry),
        _percent(entry.clean),
        _percent(entry.autoattack),
        entry.license,
        _cached(entry),
    )


def _show(name: str) -> list[str]:
    from rampart.models.catalogue import catalogue

    entry = catalogue().get(name)
    if entry is not None:
        return _facts(entry)
    from rampart.models.sources import find_source

    return _other_facts(name, find_source(name))


def _facts(entry: "Entry") -> list[str]:
    lines = [f"{entry.name}: {entry.title}, {_kind(entry)}"]
    if entry.refused:
        lines.append(f"cannot be loaded: {entry.refused}")
    else:
        lines += [
            f"timm: {entry.timm}{_options(entry)}",
            f"images: {entry.image_size} x {entry.image_size} pixels",
            f"normalization: {_normalization(entry)}",
            f"outputs: {entry.classes}",
            f"file: {entry.file}, {_size(entry)}, {_cached(entry) or 'not in the cache'}",
            f"source: {entry.place}",
        ]
    if entry.key_filter:
        lines.append("keys: renamed by timm's checkpoint_filter_fn")
    if entry.clean is not None:
        lines.append(
            f"published on ImageNet: {entry.clean} % clean, {entry.autoattack} % under AutoAttack "
            f"at Linf 4/255 ({entry.figures})"
        )
    others = ("note", "license", "homepage", "paper")
    lines += [f"{key}: {getattr(entry, key)}" for key in others if getattr(entry, key)]
    if entry.inferred:
        lines.append(f"inferred, not read: {', '.join(entry.inferred)}")
    if not entry.refused:
        lines.append(f"train: rampart train model={entry.name} data=FOLDER -o RUN")
        lines.append(f"with a file that is here already: add model.weights={entry.file}")
    return lines


def _other_facts(name: str, source: "Source") -> list[str]:
    mean, std = source.normalization(source.in_chans)
    return [
        f"{name}: {source.architecture}",
        f"images: {source.image_size} x {source.image_size} pixels, {source.in_chans} channels",
        f"normalization: mean {list(mean)}, std {list(std)}",
        f"outputs: {source.pretrained_cfg.get('num_classes')}",
        f"weights: {'known' if source.has_weights else 'none; write model.pretrained=false'}",
        f"license: {source.pretrained_cfg.get('license') or 'not known'}",
    ]


def _kind(entry: "Entry") -> str:
    return "robust" if entry.is_robust else "standard"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _cached(entry: "Entry") -> str:
    from rampart.models.downloads import cached_file

    return "in the cache" if entry.file and cached_file(entry) else ""


def _options(entry: "Entry") -> str:
    options = ", ".join(f"{key}={value}" for key, value in entry.options.items())
    return f" with {options}" if options else ""


def _normalization(entry: "Entry") -> str:
    from rampart.models.catalogue import NORMALIZATIONS

    mean, std = NORMALIZATIONS[entry.normalization]
    return f"{entry.normalization} (mean {list(mean)}, std {list(std)})"


def _size(entry: "Entry") -> str:
    return f"{entry.bytes} bytes" if entry.bytes else "size not known"
