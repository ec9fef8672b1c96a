"""The fields of `model` and `data`: which network learns, and from which images."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rampart.choices import LabelUse, Resize, Validation
from rampart.schema.sections import (
    AffectsNothing,
    AffectsTraining,
    DescribesSource,
    Named,
    Section,
)


class ModelConfig(Named):
    """The pretrained backbone."""

    name: AffectsTraining[str] = Field(
        description="a name that `rampart models` lists, a timm name, `hf-hub:OWNER/NAME`, "
        "`local-dir:FOLDER`, a weights file with its timm `.json` beside it, or `file.py:function`"
    )
    pretrained: AffectsTraining[bool] = Field(
        True, description="load the pretrained weights; false starts from a random network"
    )
    weights: DescribesSource[AffectsTraining[str | None]] = Field(
        None, description="a local file of weights for the named architecture"
    )
    options: DescribesSource[AffectsTraining[dict[str, Any]]] = Field(
        default_factory=dict,
        description="arguments of the architecture, such as `{drop_path_rate: 0.1}`; those of "
        "`timm.create_model` itself are refused",
    )
    mean: DescribesSource[AffectsTraining[tuple[float, ...] | None]] = Field(
        None, description="normalization: the mean of each channel; by default that of the model"
    )
    std: DescribesSource[AffectsTraining[tuple[float, ...] | None]] = Field(
        None,
        description="normalization: the standard deviation of each channel; by default that "
        "of the model",
    )
    head: AffectsTraining[Literal["fresh", "pretrained"]] = Field(
        "fresh",
        description="a new random head; `pretrained` starts from the head in the weights, whose "
        "classes must be those of the data",
    )
    batch_norm: AffectsTraining[Literal["train", "frozen"]] = Field(
        "train",
        description="`frozen`: BatchNorm normalizes by its pretrained statistics in training too",
    )


class AugmentConfig(Section):
    """Random changes of training images; the defaults are those of the publication."""

    flip: AffectsTraining[float] = Field(
        0.5, ge=0, le=1, description="probability of a horizontal flip"
    )
    jitter: AffectsTraining[float] = Field(
        0.25, ge=0, lt=1, description="largest relative change of brightness, contrast, saturation"
    )
    rotation: AffectsTraining[float] = Field(
        15.0, ge=0, le=180, description="largest angle of a rotation, in degrees"
    )


class SplitNames(Section):
    """The names of the splits in the data: of a folder, on the hub, or in a column of splits."""

    train: AffectsTraining[str | None] = Field(
        None, description="name of the training split; by default usual names are recognized"
    )
    validation: AffectsTraining[str | None] = Field(
        None, description="name of the validation split; by default usual names are recognized"
    )
    test: AffectsTraining[str | None] = Field(
        None, description="name of the test split; by default usual names are recognized"
    )


class DataConfig(Named):
    """The images, how they are split, and how they are prepared."""

    name: AffectsTraining[str] = Field(
        description="a folder or `.tar` of images, a `.csv` or `.parquet` of paths and labels, the "
        "short name of a public dataset, `hfds/OWNER/NAME`, `torch/NAME`, or a task of Rampart"
    )
    root: DescribesSource[AffectsNothing[str]] = Field(
        "", description="folder with the files of a public dataset"
    )
    options: DescribesSource[AffectsTraining[dict[str, Any]]] = Field(
        default_factory=dict,
        description="further arguments for a public dataset; `input_key`, `target_key` and "
        "`split_key` name the columns of images, labels and splits",
    )
    splits: DescribesSource[SplitNames] = SplitNames()
    split_file: DescribesSource[AffectsTraining[str | None]] = Field(
        None, description="a JSON file that lists the images of each split"
    )
    seed: AffectsTraining[int] = Field(
        0,
        ge=0,
        description="draws the splits that the data lack; use one seed in runs to be compared",
    )
    image_size: AffectsTraining[int | None] = Field(
        None,
        ge=8,
        le=8192,
        description="side of the square images in pixels; by default that of the model",
    )
    resize: AffectsTraining[Resize] = Field(
        "crop",
        description="`crop`: the shorter side is resized and the center cropped; `squash`: both "
        "sides are resized, without keeping the aspect ratio",
    )
    validation: AffectsTraining[Validation] = Field(
        "official",
        description="`official`: the validation split of the data, if there is one; `drawn`: its "
        "images are training images too, and the split is drawn from all of them",
    )
    validation_fraction: AffectsTraining[float] = Field(
        0.1, description="fraction of the training images for validation, if it is drawn"
    )
    test_fraction: AffectsTraining[float] = Field(
        0.2, description="fraction of the images for the test, if the data have no test split"
    )
    label_noise: AffectsTraining[float] = Field(
        0.0,
        ge=0,
        lt=1,
        description="fraction of the training images that get a wrong label on purpose, drawn by "
        "`data.seed`; for tests and studies",
    )
    labels: AffectsNothing[LabelUse] = Field(
        "given",
        description="`check`: before training, list the training images whose labels are likely "
        "wrong in the folder `labels` of the run; no label changes",
    )
    workers: AffectsNothing[Annotated[int, Field(ge=0)] | Literal["auto"]] = Field(
        "auto",
        description="processes that decode images, if these do not fit into memory; `auto`: on a "
        "GPU one less than the cores and at most 8, and 0 on a CPU, whose cores train",
    )
    cache: AffectsNothing[bool | Literal["auto"]] = Field(
        "auto",
        description="keep decoded images in memory; `auto`: if they take less than a "
        "quarter of the free memory",
    )
    augment: AugmentConfig = AugmentConfig()
