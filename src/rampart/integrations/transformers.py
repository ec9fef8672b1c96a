"""Rampart in Hugging Face's Trainer, for image classification."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from rampart.errors import InvalidArgument, RunError
from rampart.images_and_labels import check_images, fit_labels
from rampart.integrations.robust import RobustLoss
from rampart.logits import read_logits
from rampart.units import Horizon

#: Makes the training loss from a classifier of pixels and the length of the run.
MakeLoss = Callable[[nn.Module, Horizon], RobustLoss]


class PixelClassifier(nn.Module):
    """Logits of a Hugging Face classifier for pixels in [0, 1], which it normalizes itself.

    Args:
        model: called with `pixel_values`, returns an output with `logits`.
        mean: of each channel, for pixels in [0, 1]; length C.
        std: of each channel, for pixels in [0, 1]; length C.

    Raises:
        InvalidArgument: values on another scale.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        for name, values, low in (("mean", mean, 0.0), ("std", std, 1e-6)):
            if not all(low <= value <= 1 for value in values) or len(mean) != len(std):
                expected = "one number for each channel, for pixels in [0, 1]"
                do = "divide values for bytes by 255"
                raise InvalidArgument(name, list(values), expected, do)
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        if images.shape[1] != self.mean.shape[1]:
            got = f"{self.mean.shape[1]} channels"
            raise InvalidArgument("mean", got, f"{images.shape[1]}, as in the images")
        output = self.model(pixel_values=(images - self.mean) / self.std)
        return read_logits(output, len(images))


class RobustTrainer(Trainer):
    """Trains at the current strength of a schedule; evaluates on clean images.

    The dataset's `pixel_values` are pixels in [0, 1], as from an image processor with
    `do_normalize=False`. The trainer normalizes them, since eps is in pixels. Use the finished
    model with the ordinary processor. An input named `indices` keys the noise of each image; set
    `remove_unused_columns=False`, or Trainer drops it.

    `eps` is logged beside the loss. Do not choose a checkpoint by clean accuracy: it says nothing
    about robustness, least of all before the schedule reaches its target.

    Args:
        robust_loss: makes the loss once the length of the run is known.
        mean: of each channel, as in the image processor.
        std: of each channel, as in the image processor.
        monitor: name of the clean accuracy, a fraction, in the metrics of the evaluation after each
            epoch; for a schedule that needs it.
        options: keyword arguments of Trainer.

    Raises:
        InvalidArgument: an option that the robust loss would ignore.
    """

    def __init__(
        self,
        *,
        robust_loss: MakeLoss,
        mean: Sequence[float],
        std: Sequence[float],
        monitor: str = "eval_accuracy",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        _require_not_ignored(self.args, options)
        # Refuses an invalid normalization before training.
        PixelClassifier(nn.Identity(), mean, std)
        # compute_loss returns the mean of a batch, whatever the model supports.
        self.model_accepts_loss_kwargs = False
        self._normalization = (tuple(mean), tuple(std))
        self._make_loss = robust_loss
        self.robust: RobustLoss | None = None
        self.monitor = monitor
        self.add_callback(RobustSchedule(self))

    def begin(self, horizon: Horizon, state: dict[str, Any] | None) -> None:
        """Create the loss of a new or resumed training run.

        Raises:
            InvalidArgument: the objective remembers something, which Trainer's checkpoints cannot
                store.
        """
        inner = self.accelerator.unwrap_model(self.model)
        if self.args.torch_compile:
            # Trainer compiles only the module that it trains; most passes belong to the attack.
            inner = torch.compile(inner, **self.accelerator.state.dynamo_plugin.to_kwargs())
        self.robust = self._make_loss(self._pixels(inner), horizon)
        if self.robust.remembers:
            raise InvalidArgument(
                "objective",
                "one that remembers what it saw, or the model before training",
                "one that remembers nothing, because Trainer's checkpoints cannot store its memory",
                "choose another one, or write a loop with RobustLoss, whose state_dict() has it",
            )
        if state is not None:
            self.robust.load_state_dict(state)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the mean loss: at perturbed images while training, else at clean ones."""
        images, labels = _take(inputs, "pixel_values"), _take(inputs, "labels")
        pixels = self._pixels(model)
        if model.training and self.robust is not None:
            loss = self.robust(images, labels, inputs.get("indices"), through=pixels)
            return (loss, {"loss": loss}) if return_outputs else loss
        check_images(images)
        logits = pixels(images)
        loss = cross_entropy(logits, fit_labels(labels, logits))
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Any, Any]:
        """Return loss, logits and labels; without labels the logits alone."""
        if "labels" in inputs:
            found: tuple[Tensor | None, Any, Any] = super().prediction_step(
                model, inputs, prediction_loss_only, ignore_keys
            )
            return found
        images = _take(self._prepare_inputs(inputs), "pixel_values")
        check_images(images)
        with torch.no_grad(), self.compute_loss_context_manager():
            return None, self._pixels(model)(images), None

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        """Log; add the current strength to the training loss."""
        if "loss" in logs and self.robust is not None:
            logs["eps"] = self.robust.scheduler.eps
        super().log(logs, *arguments, **options)

    def _pixels(self, model: nn.Module) -> PixelClassifier:
        pixels = PixelClassifier(model, *self._normalization).to(self.args.device)
        pixels.training = model.training
        return pixels


def _require_not_ignored(args: TrainingArguments, options: dict[str, Any]) -> None:
    instead = {
        "label_smoothing_factor": "set label_smoothing of the objective",
        "restore_callback_states_from_checkpoint": "the schedule's state is restored without it",
        "compute_loss_func": "write an objective",
    }
    for name, do in instead.items():
        if value := options.get(name) or getattr(args, name, None):
            raise InvalidArgument(name, value, "no value for a RobustTrainer", do)


def _take(inputs: dict[str, Any], name: str) -> Tensor:
    if name not in inputs:
        known = ", ".join(inputs) or "nothing"
        raise InvalidArgument("inputs", known, f"'{name}' among them", "have the dataset return it")
    tensor: Tensor = inputs[name]
    return tensor


class RobustSchedule(TrainerCallback, ExportableState):
    """Steps the schedule of a `RobustTrainer`; Trainer's checkpoints contain its state."""

    def __init__(self, trainer: RobustTrainer) -> None:
        self._trainer = trainer

    def state(self) -> dict[str, Any]:
        """Return the schedule's state."""
        robust = self._trainer.robust
        state = None if robust is None else robust.state_dict()
        return {"args": {}, "attributes": {"schedule": state}}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Create the loss for the length of this run.

        Raises:
            RunError: the checkpoint is from another trainer.
        """
        epochs = max(1, math.ceil(state.num_train_epochs))
        horizon = Horizon(epochs, math.ceil(state.max_steps / epochs))
        saved = None
        if state.global_step:
            states: Any = state.stateful_callbacks or {}
            saved = states.get(type(self).__name__, {}).get("attributes", {}).get("schedule")
            if saved is None:
                raise RunError("the checkpoint holds no schedule: RobustTrainer did not write it.")
        self._trainer.begin(horizon, saved)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Step the schedule."""
        assert self._trainer.robust is not None, "training has begun"
        self._trainer.robust.step()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Pass the accuracy to a schedule that needs it, after each epoch.

        Raises:
            RunError: the metrics do not contain it.
        """
        robust = self._trainer.robust
        if robust is None or not self._trainer.is_in_train or not robust.waits_for_validation:
            return
        if self._trainer.monitor not in (metrics or {}):
            name = self._trainer.monitor.removeprefix("eval_")
            raise RunError(
                f"the schedule needs the validation accuracy: have compute_metrics return "
                f"'{name}', and evaluate every epoch."
            )
        robust.observe(float((metrics or {})[self._trainer.monitor]))
