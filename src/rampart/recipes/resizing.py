"""How images become squares for an external model: as the user says, else as its configuration."""

from dataclasses import replace

from rampart.data.datasets import EMBEDDED
from rampart.data.splits import OneSplit, Splits
from rampart.models.external.loaded import LoadedModel
from rampart.recipes.config.run_config import RunConfig


def resized_as(model: LoadedModel, config: RunConfig) -> RunConfig:
    """Return the configuration with the model's own `data.resize`, unless the user sets it."""
    data = config.data
    if model.resize in (None, data.resize) or "resize" in data.model_fields_set:
        return config
    if data.name in EMBEDDED:
        return config
    return config.model_copy(update={"data": data.model_copy(update={"resize": model.resize})})


def note_resize(
    splits: Splits | OneSplit, config: RunConfig, given: RunConfig
) -> Splits | OneSplit:
    """Return the splits with a note if the configuration resizes otherwise than the given one."""
    chosen, usual = config.data.resize, given.data.resize
    if chosen == usual:
        return splits
    note = (
        f"images are resized by {chosen}, as the model's own configuration says; to change it "
        f"write data.resize={usual}."
    )
    return replace(splits, notes=(*splits.notes, note))
