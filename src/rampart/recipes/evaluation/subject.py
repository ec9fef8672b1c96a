"""The subject of an evaluation: a model, its data and the settings."""

from collections.abc import Sequence
from dataclasses import dataclass

from accelerate import Accelerator

from rampart.data.naming import require_data
from rampart.data.splits import OneSplit, Split, Splits
from rampart.errors import InvalidArgument
from rampart.models.external.class_names import check_classes
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.external.load import load_model
from rampart.models.external.loaded import LoadedModel
from rampart.models.normalized import NormalizedModel
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.run_data import splits_for_run
from rampart.recipes.evaluation.settings import default_config, require_evaluation_keys
from rampart.recipes.measured import evaluated_part
from rampart.recipes.resizing import note_resize, resized_as
from rampart.recipes.saved_model import load_saved_model, read_description, source_of
from rampart.recipes.splits import evaluated_splits_of_size
from rampart.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Subject:
    """A model with the data and the settings of its evaluation.

    Attributes:
        model: the loaded model.
        splits: of the data.
        config: of the evaluation; its training sections matter for runs only.
        run: the run that trained it; None for other models.
        extra_outputs: how many of the last outputs belong to no class of the data, whose classes
            are known from the labels alone.
    """

    model: LoadedModel
    splits: Splits | OneSplit
    config: RunConfig
    run: RunFolder | None = None
    extra_outputs: int = 0

    @property
    def split(self) -> Split:
        """The selected images, each with its position in the whole split."""
        return evaluated_part(self.config, self.splits)


def subject_of_run(folder: RunFolder, config: RunConfig) -> tuple[Accelerator, Subject]:
    """Return the model of a finished run as the subject of an evaluation.

    Raises:
        RunError: the images of the run have changed.
        ModelError: other data have other classes than the run.
    """
    own = load_config(folder)
    require_evaluation_keys(own, config)
    described = read_description(folder)
    splits = splits_for_run(folder, own, config, source_of(folder, own))
    shape = evaluated_part(config, splits).image_shape
    built = load_saved_model(folder, own, input_size=shape)
    accelerator = make_accelerator(config)
    names = described["label_names"]
    model = trained_model(built.to(accelerator.device), own.model.name, names, shape)
    model = check_classes(model, splits.class_names, config.evaluation.match)
    return accelerator, Subject(model, splits, config, folder)


def trained_model(
    model: NormalizedModel, name: str, class_names: Sequence[str], shape: tuple[int, int, int]
) -> LoadedModel:
    """Return the model of a run as a loaded model, on its current device.

    Args:
        model: of the run.
        name: of its backbone.
        class_names: of its logits.
        shape: channels, height and width of the images.
    """
    names = tuple(class_names)
    return LoadedModel(
        model.eval(),
        name,
        "run",
        weights_fingerprint(model),
        shape,
        len(names),
        (names,),
        device=model.mean.device,
    )


def subject_of_model(config: RunConfig) -> tuple[Accelerator, Subject]:
    """Return an external model as the subject of an evaluation."""
    wanted, reference = config.model, config.model.name
    require_evaluation_keys(default_config(config), config, "seed", "model.mean", "model.std")
    accelerator = make_accelerator(config)
    model = load_model(
        reference,
        image_size=config.data.image_size,
        mean=wanted.mean,
        std=wanted.std,
        device=accelerator.device,
    )
    if model.input_size is None:
        require_data(config.data.name, config.data.root)
        raise unknown_side(reference)
    channels, size, _ = model.input_size
    given, config = config, resized_as(model, config)
    splits = note_resize(evaluated_splits_of_size(config, channels, size), config, given)
    model = check_classes(model, splits.class_names, config.evaluation.match)
    return accelerator, Subject(model, splits, config)


def unknown_side(reference: str) -> InvalidArgument:
    """Return the error for a model that does not state the side of its images."""
    return InvalidArgument(
        "data.image_size",
        None,
        f"the side of the images that '{reference}' accepts",
        "write data.image_size=224 for 224 pixels",
    )
