"""Rampart in Hugging Face's Trainer, for image classification."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from rampart.errors import RunError
from rampart.integrations.robust import RobustLoss
from rampart.units import Horizon

#: A classifier of pixels and the length of the run to the loss that it is trained with.
MakeLoss = Callable[[nn.Module, Horizon], RobustLoss]


class PixelClassifier(nn.Module):
    """Logits of a Hugging Face classifier at pixels in [0, 1]: the normalisation belongs to it.

    Args:
        model: called with `pixel_values`, returns an output with `logits`.
        mean: of each channel; length C.
        std: of each channel; length C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        logits: Tensor = self.model(pixel_values=(images - self.mean) / self.std).logits
        return logits


class RobustTrainer(Trainer):
    """Trains at the strength that a schedule has reached; evaluates on clean images.

    The dataset's `pixel_values` are pixels in [0, 1], as an image processor with
    `do_normalize=False` makes them: the normalisation is done here, since eps is in pixels. The
    finished model is used with the ordinary processor. An input named `samples` keys the noise of
    each image.

    Args:
        robust_loss: makes the loss once the length of the run is known.
        mean: of each channel, as in the image processor.
        std: of each channel, likewise.
        options: whatever Trainer takes, by name.
    """

    def __init__(
        self,
        *,
        robust_loss: MakeLoss,
        mean: Sequence[float],
        std: Sequence[float],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        # compute_loss returns the mean of a batch, whatever the model could do.
        self.model_accepts_loss_kwargs = False
        self._normalisation = (tuple(mean), tuple(std))
        self._make_loss = robust_loss
        self.robust: RobustLoss | None = None
        self.add_callback(RobustSchedule(self))

    def begin(self, horizon: Horizon, state: dict[str, Any] | None) -> None:
        """Make the loss of a training run, or of what is left of one."""
        inner = self.accelerator.unwrap_model(self.model)
        if self.args.torch_compile:
            # Trainer compiles what the gradients go through; most passes are the attack's.
            inner = torch.compile(inner, **self.accelerator.state.dynamo_plugin.to_kwargs())
        self.robust = self._make_loss(self._pixels(inner), horizon)
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
        images, labels = inputs["pixel_values"], inputs["labels"]
        pixels = self._pixels(model)
        if model.training and self.robust is not None:
            return self.robust(images, labels, inputs.get("samples"), through=pixels)
        logits = pixels(images)
        loss = cross_entropy(logits, labels)
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss

    def _pixels(self, model: nn.Module) -> PixelClassifier:
        pixels = PixelClassifier(model, *self._normalisation).to(self.args.device)
        pixels.training = model.training
        return pixels


class RobustSchedule(TrainerCallback, ExportableState):
    """Moves eps after every step of a `RobustTrainer`; its state is in Trainer's checkpoints."""

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
        """Have the loss made for the length of this run.

        Raises:
            RunError: a checkpoint that another trainer has left.
        """
        epochs = max(1, math.ceil(state.num_train_epochs))
        horizon = Horizon(epochs, math.ceil(state.max_steps / epochs))
        saved = None
        if state.global_step:
            kept: Any = state.stateful_callbacks or {}
            saved = kept.get(type(self).__name__, {}).get("attributes", {}).get("schedule")
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
        """Move eps on."""
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
        """Show the schedule the accuracy of an evaluation, where it needs that."""
        robust = self._trainer.robust
        if robust is None or not robust.scheduler.schedule.needs_validation:
            return
        if "eval_accuracy" not in (metrics or {}):
            raise RunError(
                "the schedule waits for the validation accuracy: have compute_metrics return "
                "'accuracy', and evaluate every epoch."
            )
        robust.observe(float((metrics or {})["eval_accuracy"]))
