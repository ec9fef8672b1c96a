"""A finished run in Python: the model, its history and its evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from rampart.api.result import EvaluationResult
from rampart.counting import counted
from rampart.evaluation.predictions import Predictions
from rampart.models.normalized import NormalizedModel
from rampart.plugins import GIVEN
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.naming import evaluation_name
from rampart.recipes.export import ExportedFile, export_model
from rampart.recipes.predict import predict_images
from rampart.recipes.publishing.publish import Publication, publish_run
from rampart.recipes.saved_model import load_saved_model, read_description
from rampart.records.summary import summary
from rampart.reports.headline import spell_images
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.units import format_eps


@dataclass(frozen=True, repr=False)
class FinetunedRun:
    """A finished run, as `finetune` and `load_run` return it.

    Attributes:
        path: the run's folder; `rampart report`, `compare` and `evaluate` accept it.
        config: the full configuration.
        model: maps pixels in [0, 1], (N, C, H, W), to logits (N, K); in eval mode.
        class_names: of the K logits.
        evaluation: the record on the test split; None if the run was not evaluated.
    """

    path: Path
    config: RunConfig
    model: NormalizedModel
    class_names: tuple[str, ...]
    evaluation: EvaluationResult | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row for each epoch: eps, losses, validation accuracies, passes, seconds."""
        return History(RunFolder(self.path).history).rows()

    @property
    def passes(self) -> Passes:
        """All passes of the run by their purpose: training, validation, monitors, pilot."""
        return Passes.of(self.history, RunFolder(self.path).facts())

    def predict(self, images: Any) -> Predictions:
        """Return the classes of images and their probabilities.

        Images are prepared as in the evaluation, and the model runs in eval mode on its device.

        Args:
            images: the path of an image, or of a folder or a .tar of images; a picture of PIL; a
                tensor (C, H, W) or (N, C, H, W), uint8 or floating point in [0, 1]; or a list of
                them.

        Returns:
            `top(k)` gives the likeliest classes, `probabilities` all of them, and `save("a.csv")`
            writes a table.

        Raises:
            DataError: there is no image, or a named file cannot be read. In a folder such files are
                left out, with a `RampartWarning`.
            InvalidArgument: another kind of image, or pixels outside [0, 1].
        """
        return predict_images(self.model, images, self.class_names, self.config)

    def export(
        self, to: str, output: str | Path | None = None, *, normalization: str = "inside"
    ) -> ExportedFile:
        """Write the model as a program for other tools, and check that it gives the same logits.

        Args:
            to: "onnx", "pt2" (torch.export) or "torchscript".
            output: the file; by default `model/model.onnx` and so on in the run's folder.
            normalization: "inside" for a program that takes pixels in [0, 1], "outside" for one
                that takes images normalized by the model's mean and std.

        Raises:
            UnknownName: an unknown format.
            MissingExtra: the format needs a package that is not installed.
            ModelError: the format cannot express the model, or the file gives other logits.
        """
        target = None if output is None else Path(output)
        folder = RunFolder(self.path)
        return export_model(self.model, folder, self.config, to, target, normalization)

    def publish(
        self, to: str | Path, *, private: bool = False, license: str = "", dry_run: bool = False
    ) -> Publication:
        """Publish the model, its card and the records of its evaluations.

        Args:
            to: a folder that is empty or does not exist, or "hf:OWNER/NAME" for the hub.
            private: create a private repository.
            license: of the model, an identifier of the hub such as "apache-2.0".
            dry_run: check everything and write nothing.

        Raises:
            InvalidArgument: the name, the license, or `private` for a folder.
            RunError: the folder is not empty, or the hub refuses.
        """
        return publish_run(self.path, str(to), private=private, license=license, dry_run=dry_run)

    def __repr__(self) -> str:
        config = self.config
        parts = [
            f"{config.model.name.removeprefix(GIVEN)} on {config.data.name.removeprefix(GIVEN)}",
            f"schedule {config.schedule.name}, {config.threat.norm} up to "
            f"{format_eps(config.threat.eps)}, {counted(config.training.epochs, 'epoch')}",
        ]
        if (found := self.evaluation) is not None:
            parts.append(
                f"{config.evaluation.split}, {spell_images(summary(found))}: clean "
                f"{found.clean:.1%}, at eps {found.adversarial:.1%}, expected "
                f"{found.expected().value:.1%}"
            )
        return f"FinetunedRun('{self.path}': {'; '.join(parts)})"


def class_names_in(folder: RunFolder) -> tuple[str, ...]:
    """Return the names of the classes of a run's model."""
    return tuple(read_description(folder)["label_names"])


def load_run(path: str | Path, module: nn.Module | None = None) -> FinetunedRun:
    """Return a finished run, with its model on the CPU.

    Args:
        path: the run's folder, made in Python or by `rampart train`.
        module: for a run that trained your own module: a module of the same architecture, which
            gets a copy of the run's weights.

    Raises:
        RunError: the run is missing or not finished.
        ModelError: the module is missing, or the weights do not fit it.
    """
    folder = RunFolder(Path(path))
    folder.require_finished()
    config = load_config(folder)
    model = load_saved_model(folder, config, module)
    target = folder.evaluations / evaluation_name(config)
    finished = EvaluationFolder(target).is_finished()
    evaluation = EvaluationResult.load(target) if finished else None
    return FinetunedRun(folder.path, config, model, class_names_in(folder), evaluation)
