"""The final model of a run, loaded from the run's folder."""

import json
from typing import Any

from torch import nn

from rampart.checksums import KEEP, require_unchanged
from rampart.errors import ModelError, reason
from rampart.files import read_text
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.models.own import MODULE, load_own
from rampart.models.references import is_function
from rampart.models.sources import Source, find_source
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import call_for_module
from rampart.runs.run_folder import RunFolder


def load_saved_model(
    folder: RunFolder,
    config: RunConfig,
    module: nn.Module | None = None,
    input_size: tuple[int, int, int] | None = None,
) -> NormalizedModel:
    """Return the final model of a run, in eval mode on the CPU.

    Args:
        folder: of the run.
        config: of the run. If its model is a function of the user, the function is called again.
        module: for a run that trained a module of the user: one of the same architecture.
        input_size: (C, H, W) of the images; by default those of the training.

    Raises:
        ModelError: the module is missing, or the weights do not fit.
    """
    described = read_description(folder)
    if MODULE not in described:
        channels, size, _ = input_size or (None, None, None)
        reference = f"local-dir:{folder.model}"
        return build_model(
            reference, pretrained_head=True, in_chans=channels, image_size=size
        ).eval()
    if module is None and is_function(config.model.name):
        module = call_for_module(config.model.name, config.seed)
    if module is None:
        raise ModelError(
            f"{folder.path} holds the weights of your own module, {described[MODULE]}: pass a "
            "module of the same architecture, load_run(FOLDER, module)."
        )
    return load_own(folder.model, module).eval()


def source_of(folder: RunFolder, config: RunConfig) -> Source | None:
    """Return the saved model of a run as a source; None for a function of the user."""
    own_module = MODULE in read_description(folder) and is_function(config.model.name)
    return None if own_module else find_source(f"local-dir:{folder.model}")


def read_description(folder: RunFolder) -> dict[str, Any]:
    """Return the content of `config.json` in the folder of a run's model.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder.model / "config.json"
    require_unchanged(path, KEEP)
    try:
        described = json.loads(read_text(path))
    except FileNotFoundError:
        raise ModelError(
            f"{folder.path} lacks its model: '{path}' does not exist; restore the folder model, or "
            "train again."
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' cannot be read ({reason(error)}).") from error
    return dict(described)
