"""The model card of a run as text."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from markupsafe import Markup

from rampart.counting import counted
from rampart.plain import read_json
from rampart.reports.card.evaluated import Evaluated, evaluations_of
from rampart.reports.card.markdown import render
from rampart.reports.card.metadata import Origin, metadata
from rampart.reports.headline import spell_balanced
from rampart.reports.page.declaration import (
    adversary_lines,
    data_lines,
    limits_lines,
    uncertainty_lines,
)
from rampart.reports.page.words import trust
from rampart.runs.afterwards import spell_afterwards
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.report_page import SEAL, sealed, sources_of
from rampart.runs.run_folder import RunFolder

Settings = Mapping[str, Any]

#: Most names of classes in a card.
MOST_CLASSES = 200
#: Settings that every card shows, if they differ from None.
_RECIPE = {
    "backbone": "model.name",
    "pretrained": "model.pretrained",
    "head": "model.head",
    "BatchNorm": "model.batch_norm",
    "data": "data.name",
    "size of the images": "data.image_size",
    "schedule of eps": "schedule",
    "objective": "objective",
    "attack in training": "attack",
    "strategies": "strategies",
    "callbacks": "callbacks",
    "learning rate of the backbone": "optimizer.backbone_lr",
    "learning rate of the head": "optimizer.head_lr",
    "epochs": "training.epochs",
    "batch size": "training.batch_size",
    "saved weights": "training.checkpoint",
    "seed": "seed",
}


@dataclass(frozen=True)
class Place:
    """Where a card lies.

    Attributes:
        reference: by which timm and Rampart load the model: "hf-hub:OWNER/NAME", or
            "local-dir:FOLDER" where the reader has to put the folder.
        above: path from the card to the settings and evaluations: "" or "../".
    """

    reference: str = "local-dir:FOLDER"
    above: str = ""


def card_text(run: RunFolder, origin: Origin, place: Place) -> str:
    """Return the text of the card, with the checksums of what it shows.

    Args:
        run: the folder of a finished run.
        origin: what its files do not tell.
        place: where the card will lie.

    Raises:
        RunError: a file of the run is damaged.
    """
    settings, evaluations = run.settings(), evaluations_of(run)
    described = read_json(run.model / "config.json")
    title = f"{_name(settings, 'model')} fine-tuned on {_name(settings, 'data')}"
    shown = [run.config, *(EvaluationFolder(one.folder).record for one in evaluations)]
    sources = {f"{place.above}{name}": one for name, one in sources_of(run.path, *shown).items()}
    text = render(
        "README.md.j2",
        metadata=Markup(metadata(title, settings, evaluations, origin)),
        seal=Markup(SEAL),
        made_from=Markup(html.escape(json.dumps(sources))),
        title=title,
        lead=_lead(settings, described),
        settings=f"{place.above}config.yaml",
        recipe=[*_recipe(settings), *_after_training(run)],
        ramps=_is_attacked(settings) and settings["schedule"]["name"] != "fix",
        license=origin.license,
        trained_from=_trained_from(settings, origin),
        classes=_classes(described["label_names"]),
        **_loading(described, settings, origin, place),
        **_measured(run, settings, evaluations, place),
    )
    return sealed(text)


def _measured(
    run: RunFolder, settings: Settings, evaluations: Sequence[Evaluated], place: Place
) -> dict[str, Any]:
    """Return what the card says of evaluations; the first one gives its figures."""
    threat = settings["threat"]
    trained = f"Trained to withstand changes under {threat['norm']} with eps = {threat['eps']}."
    if not evaluations:
        data = [f"Trained on {_name(settings, 'data')}."]
        limits = ["Nothing is known about the accuracy and the robustness of this model."]
        return {"figures": [], "data": data, "threat": [trained], "limits": limits}
    first, *others = evaluations
    names = [f"{place.above}{one.folder.relative_to(run.path).as_posix()}" for one in evaluations]
    picture, balanced = EvaluationFolder(first.folder).picture, spell_balanced(first.facts)
    return {
        "figures": first.figures(),
        "confidence": f"{100 * first.facts['confidence']:g} %",
        "picture": f"{names[0]}/{picture.name}" if picture.is_file() else "",
        "data": data_lines(first.facts, first.record),
        "threat": [trained, *adversary_lines(first.facts, first.record)],
        "evaluation": [
            *([f"The classes differ in size. Means {balanced}."] if balanced else []),
            *trust(first.facts).sentences,
            *uncertainty_lines(first.facts),
        ],
        "others": [_other(one) for one in others],
        "records": [Markup(quote(name)) for name in names],
        "limits": limits_lines(first.facts, first.record),
    }


def _other(one: Evaluated) -> dict[str, str]:
    figures = {name: one.figure(name) for name in ("clean", "adversarial", "expected")}
    spelled = {name: f"{own['value']} ({own['interval']})" for name, own in figures.items()}
    return {"attack": one.attack, **spelled}


def _loading(
    described: Settings, settings: Settings, origin: Origin, place: Place
) -> dict[str, Any]:
    """Return how the model is loaded."""
    known = described if origin.module else described["pretrained_cfg"]
    channels, size, _ = known["input_size"]
    squash = settings["data"].get("resize") == "squash"
    return {
        "module": origin.module,
        "defined_in": Markup(origin.defined_in),
        "reference": Markup(place.reference),
        "place": Markup(place.reference.partition(":")[2]),
        "mode": "L" if channels == 1 else "RGB",
        "channels": channels,
        "size": size,
        "eps": settings["threat"]["eps"],
        "prepared": " data.resize=squash" if squash else "",
    }


def _lead(settings: Settings, described: Settings) -> str:
    threat, classes = settings["threat"], counted(len(described["label_names"]), "class")
    return (
        f"An image classifier of {classes}, fine-tuned by adversarial training to withstand "
        f"changes of the pixels under {threat['norm']} up to eps = {threat['eps']}."
        if _is_attacked(settings)
        else f"An image classifier of {classes}, fine-tuned without adversarial training."
    )


def _is_attacked(settings: Settings) -> bool:
    names = settings["objective"]["name"], settings["schedule"]["name"]
    return "standard" not in names and str(settings["threat"]["eps"]) not in ("0", "0.0")


def _after_training(run: RunFolder) -> list[tuple[str, str]]:
    said = spell_afterwards(run.facts())
    return [("after training", said)] if said else []


def _recipe(settings: Settings) -> list[tuple[str, str]]:
    found = []
    for name, key in _RECIPE.items():
        value: Any = settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value not in (None, "", [], ()):
            found.append((name, _spell(key, value)))
    return found


def _spell(key: str, value: Any) -> str:
    """Return a value in words."""
    if isinstance(value, Mapping):
        options = [f"{name}={one}" for name, one in value.items() if name != "name"]
        return " ".join([str(value.get("name", "")), *options]).strip()
    if isinstance(value, list | tuple):
        return ", ".join(_spell(key, one) for one in value)
    return _short(value) if key in ("model.name", "data.name") else str(value)


def _name(settings: Settings, section: str) -> str:
    return _short(settings[section]["name"])


def _short(name: Any) -> str:
    """Return the name of a model or of data without the path on this machine."""
    text = str(name)
    return text.removeprefix("hf-hub:") if text.startswith("hf-hub:") else Path(text).name


def _trained_from(settings: Settings, origin: Origin) -> str:
    model = settings["model"]
    if not model.get("pretrained", True) or origin.module:
        return ""
    return origin.base or _name(settings, "model")


def _classes(names: Sequence[str]) -> str:
    more = len(names) - MOST_CLASSES
    rest = f" and {more} more, which config.json names" if more > 0 else ""
    return ", ".join(names[:MOST_CLASSES]) + rest
