"""`rampart data`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.cli.json_output import Json, print_json
from rampart.cli.subject import load_for_data
from rampart.errors import InvalidArgument

if TYPE_CHECKING:
    from rampart.data.catalogue import Counts, Entry
    from rampart.data.inventory import Stock
    from rampart.data.readers.request import Request
    from rampart.recipes.config.run_config import RunConfig
    from rampart.schema.model_and_data import DataConfig

_SPLITS = ("train", "validation", "test")


def data(
    name: str = typer.Argument(
        "",
        metavar="NAME",
        help="A short name, such as cars, or anything that data= takes.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="data.KEY=VALUE",
        help="Keys such as data.root=FOLDER, data.options.source=hub or data.splits.test=TEST.",
        show_default=False,
    ),
    write_splits: Path | None = typer.Option(
        None,
        "--write-splits",
        metavar="FILE.json",
        help="Write the splits that a training uses; data.split_file=FILE.json reads them.",
        show_default=False,
    ),
    as_json: bool = Json,
) -> None:
    """List the public datasets, show one, or count other data.

    Images are counted without decoding them, and nothing is downloaded. The status is 1 if data on
    this machine differ from the catalogue.
    """
    from rampart.cli.console import console

    name, keys = name.removeprefix("data="), settings or []
    if write_splits is not None:
        lines, facts, wrong = *_write(write_splits, name, keys), False
    elif not name:
        lines, facts, wrong = *_list(), False
    else:
        lines, facts, wrong = _show(name, keys)
    if as_json:
        print_json(facts)
    else:
        for line in lines:
            console.say(line)
    if wrong:
        raise typer.Exit(1)


def _list() -> tuple[list[str], object]:
    from rampart.data.catalogue import catalogue

    head = f"{'data=':<12}{'classes':>7}{'train':>8}{'val.':>7}{'test':>7}  license"
    rows = [
        f"{name:<12}{entry.classes:>7}"
        + "".join(
            f"{entry.images.get(split, '-'):>{width}}"
            for split, width in zip(_SPLITS, (8, 7, 7), strict=True)
        )
        + f"  {entry.license or 'not known'}"
        for name, entry in catalogue().items()
    ]
    last = "`rampart data NAME` shows one and counts what is on this machine."
    return [head, *rows, last], list(catalogue().values())


def _show(name: str, settings: list[str]) -> tuple[list[str], object, bool]:
    """Return the lines and facts about data, and whether data on this machine are wrong."""
    # Before slow imports, so that a wrong name or key is answered at once.
    config = _config(name, settings)
    from rampart.data.inventory import entry_of, take_stock, take_stock_of_sources

    request, entry = _request(name, config.data), entry_of(name)
    if entry is None:
        stock = take_stock(request)
        return _stock_lines(stock), {"entry": None, "stock": [stock]}, False
    stocks = take_stock_of_sources(entry, request)
    lines = [*_facts(entry), "on this machine:"]
    for stock in stocks:
        lines += [f"  {line}" for line in _stock_lines(stock)]
    if not request.root and any(source.library == "torch" for source in entry.sources):
        lines.append("  data.root=FOLDER looks for the files of torchvision in a folder.")
    facts = {"entry": entry, "stock": stocks}
    return lines, facts, any(stock.wrong for stock in stocks)


def _write(path: Path, name: str, settings: list[str]) -> tuple[list[str], object]:
    """Write the splits of a training with these settings into a file."""
    from rampart.cli.console import errors, show_progress

    if not name:
        raise InvalidArgument("--write-splits", path, "a NAME of data too", "name the data first")
    config = _config(name, settings)
    from rampart.data.split_file import write_split_file
    from rampart.recipes.splits import splits_of_size

    # The result is printed, perhaps as JSON.
    with show_progress(errors):
        splits = splits_of_size(config, 3, config.data.image_size)
    write_split_file(path, splits)
    sizes = {split: len(splits[split]) for split in _SPLITS}
    lines = [*(f"note: {note}" for note in splits.notes), f"{path}: {_spell(sizes)}"]
    return lines, {"file": path, "images": sizes, "notes": splits.notes}


def _request(name: str, config: "DataConfig") -> "Request":
    from rampart.data.decode import Decode
    from rampart.data.readers.request import Request

    splits = config.splits.model_dump(exclude_none=True)
    return Request(name, Decode(224), config.root, config.options, splits)


def _config(name: str, settings: list[str]) -> "RunConfig":
    from rampart.cli.overrides import ordered

    for word in settings:
        if not word.startswith("data."):
            raise InvalidArgument("settings", word, "keys of the data, such as data.root=FOLDER")
    # A configuration needs a model; its name is not used.
    return load_for_data(None, ordered(["model.name=resnet50", f"data.name={name}", *settings]))


def _facts(entry: "Entry") -> list[str]:
    lines = [
        f"{entry.name}: {entry.title}, {entry.classes} classes",
        f"official splits: {_official(entry)}",
    ]
    if entry.study:
        lines.append(f"splits of the publication: {_spell(entry.study)}")
    if entry.per_class:
        lines.append(f"drawn for each class: {_spell(entry.per_class)}, all others test")
    lines.append(f"license: {entry.license or 'not known'}")
    lines += [f"{key}: {value}" for key, value in _links(entry) if value]
    for source in entry.sources:
        options = ", ".join(f"{key} {value}" for key, value in source.options.items())
        own = f"; {_spell(source.images)}" if source.images else ""
        lines.append(f"source: {source.data}{f' ({options})' if options else ''}{own}")
    if entry.inferred:
        lines.append(f"inferred, not read: {', '.join(entry.inferred)}")
    return lines


def _official(entry: "Entry") -> str:
    if list(entry.images) == ["train"]:
        return f"none; {entry.images['train']} images"
    return _spell(entry.images)


def _links(entry: "Entry") -> list[tuple[str, str]]:
    return [("homepage", entry.homepage), ("paper", entry.paper)]


def _stock_lines(stock: "Stock") -> list[str]:
    if stock.fault:
        return [stock.fault]
    images = {name: number for name, number in stock.counts.items() if name != "classes"}
    return [
        f"{stock.source}: {_spell(images)}; {stock.counts['classes']} classes; images of the "
        f"smallest class: {_spell(stock.smallest)}",
        *(f"note: {note}" for note in stock.notes),
    ]


def _spell(counts: "Counts") -> str:
    return ", ".join(f"{counts[name]} {name}" for name in _SPLITS if name in counts)
