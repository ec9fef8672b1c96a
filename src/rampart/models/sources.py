"""The source of a model: architecture, arguments and weights from a name, folder or file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg, get_pretrained_cfg, load_model_config_from_hf

import rampart.models.glyphnet  # noqa: F401  # makes rampart_glyphnet known to timm
from rampart.checksums import KEEP, require_unchanged
from rampart.errors import ModelError, UnknownName, nearest, reason
from rampart.hub_access import NOT_CACHED, hub_access, is_not_cached
from rampart.models.catalogue import NORMALIZATIONS, Entry, catalogue, find_entry
from rampart.models.described import require_sound
from rampart.models.downloads import fetch
from rampart.models.references import misspelled_prefix
from rampart.models.weight_files import WEIGHT_SUFFIXES
from rampart.plain import read_json
from rampart.plugins import GIVEN

#: Keys of timm's description that tell where the weights are.
_PLACES = ("url", "file", "hf_hub_id")
_FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.pth")


@dataclass(frozen=True)
class Source:
    """The description of a model before it is built.

    Attributes:
        name: timm's name of the architecture, with its tag if it has one, or "hf-hub:...".
        weights: file with the weights; None if timm knows their place.
        model_args: arguments of the architecture that the weights were trained with.
        pretrained_cfg: timm's description of the weights: input size, mean, std, classes.
        num_classes: of the weights, if their configuration has it.
        entry: the entry of the catalogue that describes the weights, if timm does not.
    """

    name: str
    weights: Path | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    pretrained_cfg: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    entry: Entry | None = None

    @property
    def architecture(self) -> str:
        """The name of the architecture alone."""
        return str(self.pretrained_cfg.get("architecture") or self.name.partition(".")[0])

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that the weights were trained with."""
        channels, height, width = self.pretrained_cfg["input_size"]
        return channels, height, width

    @property
    def in_chans(self) -> int:
        """Number of channels of the images."""
        return int(self.model_args.get("in_chans", self.input_size[0]))

    @property
    def has_weights(self) -> bool:
        """Whether there are weights to load."""
        known = any(self.pretrained_cfg.get(key) for key in _PLACES)
        return self.weights is not None or self.entry is not None or known

    @property
    def has_fixed_size(self) -> bool:
        """Whether the architecture is built for one size of images."""
        return bool(self.pretrained_cfg.get("fixed_input_size"))

    @property
    def image_size(self) -> int:
        """Side of the images."""
        return self.input_size[-1]

    def fetched(self) -> "Source":
        """Return the source with its weights file, downloaded if the catalogue names its place."""
        if self.entry is None or self.weights is not None:
            return self
        return replace(self, weights=fetch(self.entry))

    def normalization(self, in_chans: int) -> tuple[list[float], list[float]]:
        """Return mean and std of each channel; averages if the weights have other channels."""
        return (
            _per_channel(self.pretrained_cfg["mean"], in_chans),
            _per_channel(self.pretrained_cfg["std"], in_chans),
        )


def _per_channel(values: Sequence[float], in_chans: int) -> list[float]:
    if len(values) == in_chans:
        return list(values)
    return [sum(values) / len(values)] * in_chans


def find_source(name: str, weights: str | Path | None = None) -> Source:
    """Return the source of a model; this builds nothing, and only `hf-hub:` uses the network.

    Args:
        name: a name of the catalogue or of timm, "hf-hub:OWNER/NAME", "local-dir:FOLDER" (or the
            folder itself), or a weights file with a configuration beside it: x.safetensors and
            x.json.
        weights: file for the architecture `name`; a configuration beside it is read.

    Raises:
        UnknownName: there is no such backbone, architecture or tag; the error suggests the nearest.
        ModelError: a file is missing or not a configuration, the hub cannot be reached, or the
            catalogue says why the backbone cannot be loaded.
    """
    if name.startswith(GIVEN):
        raise ModelError(
            f"model '{name}' was given in Python as a module: pass the module again to "
            "rampart.finetune or rampart.evaluate."
        )
    if entry := find_entry(name):
        if not entry.has_timm_weights:
            return _source_of_entry(entry, weights)
        name = entry.timm
    if weights is not None:
        return _source_of_weights(require_file(Path(weights)), _require_known(name))
    if name.startswith("local-dir:") or Path(name, "config.json").is_file():
        return _source_of_folder(Path(name.removeprefix("local-dir:")))
    if name.endswith(WEIGHT_SUFFIXES):
        return _source_of_weights(require_file(Path(name)), None)
    if name.startswith("hf-hub:"):
        return _source_of_hub(name)
    return Source(_require_known(name), pretrained_cfg=_read_registry(name))


def _source_of_entry(entry: Entry, weights: str | Path | None) -> Source:
    """Return the source of a backbone of the catalogue, or of its file if that is given."""
    mean, std = NORMALIZATIONS[entry.normalization]
    cfg = {key: value for key, value in _read_registry(entry.timm).items() if key not in _PLACES}
    cfg |= {
        "input_size": (3, entry.image_size, entry.image_size),
        "mean": mean,
        "std": std,
        "num_classes": entry.classes,
        # timm's tag names other weights.
        "tag": "in1k" if entry.classes == 1000 else "",
    }
    file = None if weights is None else require_file(Path(weights))
    return Source(entry.timm, file, entry.options, cfg, entry.classes, entry)


def require_file(path: Path) -> Path:
    """Return the path of a weights file that exists and has a known ending.

    Raises:
        ModelError: it does not exist, or has another ending.
    """
    if not path.is_file():
        raise ModelError(f"weights file '{path}' does not exist.")
    if not path.name.endswith(WEIGHT_SUFFIXES):
        raise ModelError(f"weights file '{path}': expected one of {', '.join(WEIGHT_SUFFIXES)}.")
    return path


def _source_of_folder(folder: Path) -> Source:
    """Return the source of a folder in the format of timm's `local-dir:`."""
    for file in _FOLDER_WEIGHTS:
        if Path(folder, file).is_file():
            return _source_of_weights(folder / file, None, folder / "config.json")
    raise ModelError(f"model folder '{folder}' has no {_FOLDER_WEIGHTS[0]}: name a saved model.")


def _source_of_weights(weights: Path, name: str | None, config: Path | None = None) -> Source:
    config = config or weights.with_suffix(".json")
    if not config.is_file():
        if name is None:
            raise ModelError(
                f"'{weights}' has no configuration {config.name} beside it, so its architecture is "
                "unknown: add timm's configuration, or name the architecture (train from "
                "NAME with model.weights=FILE; evaluate timm:NAME:FILE)."
            )
        return Source(name, weights, {}, _read_registry(name))
    described = _read_config(config)
    architecture = _require_known(str(described["architecture"]).partition(".")[0])
    if name and name.partition(".")[0] != architecture:
        raise ModelError(f"'{config}' describes {architecture}, not {name}: write {architecture}.")
    cfg = {**_read_registry(architecture), **(described.get("pretrained_cfg") or {})}
    # timm writes the values of the weights here, and those of their origin in pretrained_cfg.
    cfg |= {key: described[key] for key in ("num_classes", "label_names") if key in described}
    model_args, classes = _arguments(described.get("model_args"))
    return Source(architecture, weights, model_args, cfg, described.get("num_classes", classes))


def _arguments(model_args: Mapping[str, Any] | None) -> tuple[dict[str, Any], int | None]:
    """Return arguments of an architecture without the number of classes, and that number.

    timm 1.0.31 writes the number among the arguments too; a fresh head has another one.
    """
    others = dict(model_args or {})
    return others, others.pop("num_classes", None)


def _read_config(path: Path) -> dict[str, Any]:
    require_unchanged(path, KEEP)
    try:
        described = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"model configuration '{path}' cannot be read ({error}).") from error
    if isinstance(described, dict) and "module" in described:
        raise ModelError(
            f"'{path}' describes the module {described['module']}, which Python code has to "
            "build: load the run by rampart.load_run(FOLDER, module)."
        )
    if not isinstance(described, dict) or "architecture" not in described:
        raise ModelError(f"model configuration '{path}' names no architecture: use timm's format.")
    require_sound(described, str(path))
    return described


def _source_of_hub(name: str) -> Source:
    try:
        with hub_access():
            cfg, architecture, model_args = load_model_config_from_hf(name.removeprefix("hf-hub:"))
    # Each version of the hub's client raises other errors.
    except Exception as error:
        raise unreachable(name, error) from error
    given = {"architecture": architecture, "pretrained_cfg": cfg, "model_args": model_args}
    require_sound(given, name)
    others, _ = _arguments(model_args)
    return Source(name, None, others, {**_read_registry(architecture), **cfg})


class Unreachable(ModelError):
    """Weights or a configuration that cannot be downloaded."""


def unreachable(name: str, error: BaseException) -> Unreachable:
    """Return the error for weights or a configuration that cannot be downloaded."""
    why = NOT_CACHED if is_not_cached(error) else reason(error)
    return Unreachable(
        f"the weights of '{name}' cannot be loaded ({why}); without a network give them "
        "as a file: FILE.safetensors with timm's FILE.json beside it, or model.weights=FILE to "
        "train."
    )


def _read_registry(name: str) -> dict[str, Any]:
    """Return timm's description of an architecture's weights."""
    cfg = get_pretrained_cfg(name) or get_pretrained_cfg(name.partition(".")[0])
    return dict((cfg or PretrainedCfg()).to_dict())  # type: ignore[no-untyped-call]  # timm


def _require_known(name: str) -> str:
    """Return `name` if timm has the architecture and its tag, if one is given."""
    architecture, _, tag = name.partition(".")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True, include_tags=True)
    if timm.is_model(architecture) and (not tag or name in tagged):
        return name
    if timm.is_model(architecture):
        begun = [known for known in tagged if known.startswith(name)]
        raise UnknownName("pretrained weights", name, begun or tagged or ["none for this one"])
    if name.endswith(WEIGHT_SUFFIXES) or Path(name).suffix == ".safetensor":
        raise ModelError(f"unknown model '{name}': the file does not exist.")
    if Path(name, "model", "config.json").is_file():
        model = Path(name, "model")
        raise ModelError(
            f"unknown model '{name}': it is the folder of a run; write local-dir:{model} to start "
            "from its model."
        )
    if meant := misspelled_prefix(name):
        raise UnknownName("model", name, [meant])
    if "/" in name:
        raise ModelError(
            f"unknown model '{name}': write hf-hub:{name} or local-dir:{name}, or a timm name."
        )
    names = [*timm.list_models(), *timm.list_models(pretrained=True, include_tags=True)]
    names += catalogue()
    near = nearest(name, names)
    raise UnknownName("model", name, near or ["all that timm.list_models() returns"])
