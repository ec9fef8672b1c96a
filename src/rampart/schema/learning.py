"""The fields of `optimizer` and `training`: how weights change, and for how long."""

from typing import Annotated, Literal

from pydantic import Field

from rampart.choices import ClassWeights, LrSchedule, Opt, Sampler
from rampart.schema.sections import AffectsNothing, AffectsTraining, Fraction, Section

#: A decay of the averages of AdamW, or of the sum of SGD.
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Section):
    """An optimizer with separate learning rates for backbone and head, and a linear warm-up."""

    opt: AffectsTraining[Opt] = Field("adamw", description="`adamw`, or `sgd` with momentum")
    backbone_lr: AffectsTraining[float] = Field(
        1e-4, ge=0, description="learning rate of the backbone; 0 leaves it as it is"
    )
    head_lr: AffectsTraining[float] = Field(4e-3, ge=0, description="learning rate of the head")
    backbone_weight_decay: AffectsTraining[float] = Field(
        0.01,
        ge=0,
        description="weight decay of the backbone, except for biases, normalization, position "
        "embeddings and class tokens",
    )
    head_weight_decay: AffectsTraining[float] = Field(
        0.01, ge=0, description="weight decay of the head, except for its bias"
    )
    betas: AffectsTraining[tuple[Beta, Beta]] = Field(
        (0.9, 0.999), description="decay of AdamW's averages of the gradient and of its square"
    )
    momentum: AffectsTraining[Beta] = Field(
        0.9, description="momentum of SGD: decay of its sum of the gradients"
    )
    warmup: AffectsTraining[float] = Field(
        0.1, ge=0, lt=1, description="fraction of the run in which the learning rates rise"
    )
    lr_schedule: AffectsTraining[LrSchedule] = Field(
        "cosine",
        description="how they go on: fall as a `cosine`, stay `constant`, fall to a tenth at each "
        "milestone (`multistep`), or fall by half, with the best weights reloaded, if the "
        "validation has stalled at a milestone (`plateau`)",
    )
    milestones: AffectsTraining[tuple[Fraction, ...]] = Field(
        (0.5, 0.75), description="milestones of `multistep` or `plateau`, fractions of the run"
    )
    clip_norm: AffectsTraining[float | None] = Field(
        None, gt=0, description="largest norm of the gradient; by default it has no limit"
    )
    ramp_lr_factor: AffectsTraining[float] = Field(
        1.0, gt=0, description="factor on both learning rates in steps with eps above 0"
    )
    fused: AffectsTraining[bool | Literal["auto"]] = Field(
        "auto",
        description="update all weights in one kernel; `auto`: on an NVIDIA GPU; results differ by "
        "rounding",
    )


class TrainingConfig(Section):
    """The length of the run, and how it is computed, saved and monitored."""

    epochs: AffectsTraining[int] = Field(
        50, ge=1, description="how often the training images are seen"
    )
    batch_size: AffectsTraining[int] = Field(
        32, ge=1, description="images per optimizer step, over all processes and micro-batches"
    )
    sampler: AffectsTraining[Sampler] = Field(
        "shuffle",
        description="images of an epoch: each once; `balanced`: as many in all, and equally many "
        "of each class",
    )
    class_weights: AffectsTraining[ClassWeights] = Field(
        "none",
        description="weight of each image's loss; `balanced`: n / (K n_k) for n images of K "
        "classes, n_k of its own",
    )
    gradient_accumulation_steps: AffectsTraining[int] = Field(
        1, ge=1, description="micro-batches that a batch is split into, to save memory"
    )
    precision: AffectsTraining[Literal["auto", "fp32", "bf16", "fp16"]] = Field(
        "auto",
        description="mixed precision of the training; `auto`: bf16 on a GPU that has it, and else "
        "fp32 ([docs](../gpu.md#defaults)); evaluation is always in float32",
    )
    device: AffectsTraining[Literal["auto", "cpu"]] = Field(
        "auto", description="the GPU if there is one; or `cpu`"
    )
    channels_last: AffectsTraining[bool | Literal["auto"]] = Field(
        "auto",
        description="memory layout in which many convolutional networks train faster; `auto`: on a "
        "GPU with bf16; results differ by rounding",
    )
    tf32: AffectsTraining[bool | Literal["auto"]] = Field(
        "auto",
        description="let an NVIDIA GPU round fp32 products of the training to TF32; `auto`: if it "
        "has bf16",
    )
    compile: AffectsTraining[bool] = Field(
        False,
        description="run the network by torch.compile ([docs](../gpu.md#compiling)); results "
        "differ by rounding",
    )
    gradient_checkpointing: AffectsTraining[bool] = Field(
        False,
        description="compute activations anew in the backward pass, which saves memory and takes "
        "about a third more time; results stay the same",
    )
    linear_probe: AffectsTraining[bool] = Field(
        False,
        description="measure the backbone before training, as `rampart linear-probe` does, and "
        "start an adaptive schedule at the strength that it withstands",
    )
    attack_steps: AffectsTraining[Literal["constant", "proportional"]] = Field(
        "proportional",
        description="take max(2, ceil(K alpha)) of K attack steps, so fewer while eps is small; "
        "`constant` always takes K",
    )
    fewest_attack_steps: AffectsTraining[int] = Field(
        2, ge=1, description="smallest number of steps with `attack_steps=proportional`"
    )
    warm_start: AffectsTraining[bool] = Field(
        False, description="begin each attack at the sample's perturbation of the epoch before"
    )
    on_overfitting: AffectsTraining[Literal["auto", "warn", "more-steps"]] = Field(
        "auto",
        description="what follows the alert `catastrophic-overfitting`; `more-steps`: the attack "
        "takes 7 steps from the next epoch on; `auto`: that, if it takes at most 3",
    )
    checkpoint: AffectsTraining[Literal["last", "best"]] = Field(
        "last",
        description="which weights become the model: the last, or `best`, those with the highest "
        "expected robustness on the validation split",
    )
    validation_strengths: AffectsTraining[int] = Field(
        4, ge=1, le=1000, description="strengths of that expected robustness"
    )
    validation_limit: AffectsNothing[int | Literal["auto", "all"]] = Field(
        "auto",
        description="validation images that are attacked after an epoch; `auto`: a twentieth of "
        "the training images, at least 50, about 5 % of an epoch's passes. Clean accuracy is "
        "always that of all validation images",
    )
    validation_steps: AffectsNothing[int | None] = Field(
        None, ge=1, description="steps of that attack; by default those of the training attack"
    )
    validation_every: AffectsNothing[int] = Field(
        1, ge=1, description="attack after every n-th epoch only, and after the last one"
    )
    checkpoint_every: AffectsNothing[int] = Field(
        0, ge=0, description="steps between checkpoints; 0: only at the end of each epoch"
    )
    monitors: AffectsNothing[bool] = Field(
        True,
        description="warn of catastrophic overfitting, an exploding loss and suboptimal transfer; "
        "false saves the cost of the measurements, except of one that `on_overfitting` follows",
    )
    trackers: AffectsNothing[tuple[str, ...]] = Field(
        (), description="`[tensorboard]`, or any tracker of accelerate"
    )
