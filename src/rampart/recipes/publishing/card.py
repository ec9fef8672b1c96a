"""The model card of a run, with what timm and the configuration know of its model."""

import timm
from timm.models import get_pretrained_cfg, is_model_pretrained, model_entrypoint

from rampart.files import write_atomic
from rampart.models.catalogue import find_entry
from rampart.models.own import MODULE
from rampart.recipes.config.loading import load_config
from rampart.recipes.saved_model import read_description
from rampart.reports.card.metadata import Origin
from rampart.reports.card.write import Place, card_text
from rampart.runs.run_folder import RunFolder
from rampart.schema.model_and_data import ModelConfig


def write_card(run: RunFolder) -> None:
    """Write the card of a finished run beside its model.

    Raises:
        RampartError: a file of the run is damaged, or the card cannot be written.
    """
    write_atomic(run.card, model_card(run, Place(above="../")))


def model_card(run: RunFolder, place: Place, license: str = "") -> str:
    """Return the text of the card of a finished run.

    Args:
        run: its folder.
        place: where the card will lie.
        license: identifier of the hub; "" if none is stated.

    Raises:
        RampartError: a file of the run is damaged.
    """
    described = read_description(run)
    module = str(described.get(MODULE, ""))
    origin = Origin(
        base="" if module else base_of(load_config(run).model),
        defined_in="" if module else _defined_in(described["architecture"]),
        module=module,
        license=license,
    )
    return card_text(run, origin, place)


def base_of(wanted: ModelConfig) -> str:
    """Return the name on the hub of the weights that training starts from; "" if unknown."""
    if not wanted.pretrained or wanted.weights is not None:
        return ""
    if wanted.name.startswith("hf-hub:"):
        return wanted.name.removeprefix("hf-hub:").partition("@")[0]
    entry = find_entry(wanted.name)
    if entry is not None and not entry.has_timm_weights:
        return ""
    name = wanted.name if entry is None else entry.timm
    # A file or a folder may begin with the name of an architecture.
    cfg = get_pretrained_cfg(name) if is_model_pretrained(name) else None
    return str(getattr(cfg, "hf_hub_id", None) or "")


def _defined_in(architecture: str) -> str:
    """Return the module whose import makes an architecture known; "" if timm's own does."""
    name = architecture.partition(".")[0]
    if not timm.is_model(name):
        return ""
    module = str(model_entrypoint(name).__module__)
    return "" if module.partition(".")[0] == "timm" else module
