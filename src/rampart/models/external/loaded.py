"""A loaded model: a classifier with the facts that an evaluation needs, and how they are found."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rampart.choices import Resize
from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError
from rampart.guarded import require_weights
from rampart.logits import read_logits
from rampart.models.external.fingerprints import code_fingerprint
from rampart.models.external.trial import Size, try_model
from rampart.models.normalized import NormalizedModel, refuse_second_mean
from rampart.models.weights import require_numbers
from rampart.restoring import in_mode, set_mode

Names = tuple[str, ...]
#: Channels, height and width that a model states; None for a part that it leaves open.
OwnSize = Sequence[int | None]

_OPEN: OwnSize = (None, None, None)
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class LoadedModel:
    """A classifier of pixels in [0, 1] that can be evaluated.

    Attributes:
        model: in eval mode; images (N, C, H, W) float32 in [0, 1] to logits (N, K).
        name: the user's reference, with its defaults filled in.
        source: kind of the model: timm, torchvision, hf, factory, exported, onnx, torchscript or
            callable.
        fingerprint: SHA-256 of its weights or files; None if there are none to read.
        input_size: channels, height and width of the images; None if unknown.
        num_classes: K; None if the model could not be tested.
        namings: lists of names for the K outputs, the model's own first; a model of ImageNet has
            synsets and words.
        gradient_error: why the gradient of the logits at the pixels cannot be computed; None if it
            can. With an error, only attacks that use logits alone apply.
        device: device of the images.
        by_position: whether output k counts as class k of the data, although no names say so.
        resize: how its configuration says that images become squares; None if it does not say.
    """

    model: nn.Module
    name: str
    source: str
    fingerprint: str | None
    input_size: Size | None = None
    num_classes: int | None = None
    namings: tuple[Names, ...] = ()
    gradient_error: ModelError | None = None
    device: torch.device = _CPU
    by_position: bool = False
    resize: Resize | None = None

    @property
    def differentiable(self) -> bool:
        """Whether the gradient of the logits reaches the pixels."""
        return self.gradient_error is None

    @property
    def class_names(self) -> Names | None:
        """The model's own names of its outputs; None without any."""
        return self.namings[0] if self.namings else None


@dataclass(frozen=True)
class Wanted:
    """Requirements of the user on a model.

    Attributes:
        num_classes: required number of logits; None for any.
        image_size: side of the images, in pixels; None for the model's own.
        in_chans: number of channels of the images; None for the model's own.
        mean: of each channel, instead of the model's own; exported programs and ONNX have none.
        std: of each channel, likewise.
        device: device of the model.
    """

    num_classes: int | None = None
    image_size: int | None = None
    in_chans: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    device: torch.device = _CPU

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            missing = "mean" if self.mean is None else "std"
            raise InvalidArgument(missing, None, "both mean and std, or neither")
        if self.num_classes is not None and self.num_classes < 2:
            raise InvalidArgument("num_classes", self.num_classes, "at least 2")

    def size(self, own: OwnSize) -> Size | None:
        """Return (C, H, W) of the images, with `own` as default; None if a side is unknown.

        Unknown channels are as many as the mean has, or 3 without a mean.
        """
        channels, height, width = own
        channels = self.in_chans or channels or len(self.mean or (0, 0, 0))
        height, width = self.image_size or height, self.image_size or width
        return (channels, height, width) if height and width else None

    def normalized(
        self,
        model: nn.Module,
        own_size: OwnSize = _OPEN,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> nn.Module:
        """Add a normalization to a model: the required one, else its own, else none.

        Raises:
            InvalidArgument: not one value for each channel, or the model normalizes already.
        """
        if self.mean is not None:
            refuse_second_mean(model, self.mean)
        mean, std = (mean, std) if self.mean is None else (self.mean, self.std)
        if mean is None or std is None:
            return model
        channels = own_size[0] or self.in_chans or len(mean)
        # Otherwise torch would broadcast one value or one channel without an error.
        if len(mean) != channels:
            raise InvalidArgument(
                "mean", list(mean), f"{counted(channels, 'value')}, one for each channel"
            )
        return NormalizedModel(model, mean, std, self.image_size or own_size[1] or 0)

    def examine(
        self,
        model: nn.Module,
        *,
        name: str,
        source: str,
        fingerprint: str | None,
        own_size: OwnSize = _OPEN,
        namings: Iterable[Sequence[str]] = (),
    ) -> LoadedModel:
        """Test a model on two images and return it with its facts.

        If neither the model nor the user gives the size of the images, it is not tested.

        Raises:
            ModelError: the model has other channels, a weight that is not finite, fails on the
                images, or does not return the required number of logits.
        """
        if self.in_chans and own_size[0] not in (None, self.in_chans):
            # The normalization would broadcast one channel to three without an error.
            raise ModelError(
                f"model '{name}' takes images of {counted(own_size[0], 'channel')}, expected "
                f"{self.in_chans}; give images of {counted(own_size[0], 'channel')}."
            )
        require_weights(model)
        model = model.to(self.device)
        set_mode(model, training=False)
        require_numbers(model, name)
        size = self.size(own_size)
        num_classes, gradient_error = self.num_classes, None
        if size is not None:
            num_classes, gradient_error = try_model(model, name, size, self.device)
        if self.num_classes not in (None, num_classes):
            raise ModelError(
                f"model '{name}' has {num_classes} outputs, expected {self.num_classes}; evaluate "
                "it on the data that it was trained on."
            )
        return LoadedModel(
            model,
            name,
            source,
            fingerprint,
            size,
            num_classes,
            tuple(tuple(naming) for naming in namings if len(naming) == num_classes),
            gradient_error,
            self.device,
        )


class Function(nn.Module):
    """A function from pixels to logits as a module; logits are taken out of a wrapper.

    A module that the function belongs to becomes a submodule, so that attacks can freeze it.
    """

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.dtype: torch.dtype | None = None
        # Gives the device of the images if the function has no parameters.
        self.register_buffer("place", torch.empty(0), persistent=False)
        for owner in (getattr(function, name, None) for name in ("module", "__self__")):
            if isinstance(owner, nn.Module) and not isinstance(function, nn.Module):
                self.owner = owner

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        pixels = images if self.dtype is None else images.to(self.dtype)
        return read_logits(self.function(pixels), len(images))

    def move(self, size: Size, device: torch.device) -> None:
        """Move to a device; convert images from now on if the weights need another type.

        They need it if fp32 is refused. A model that converts the images itself, such as one in
        bf16 that normalizes in fp32, gets them as they are.

        Raises:
            ModelError: weights without values, which cannot be moved.
        """
        require_weights(self)
        self.to(device)
        types = {p.dtype for p in self.parameters() if p.is_floating_point()}
        if len(types) != 1 or types == {torch.float32}:
            return
        gray = torch.full((2, *size), 0.5, device=device)
        try:
            with torch.no_grad(), in_mode(self, training=False):
                self.function(gray)
        # torch's message on types differs from layer to layer.
        except RuntimeError:
            self.dtype = types.pop()


def callable_model(
    function: Callable[[Tensor], Any],
    *,
    num_classes: int | None = None,
    input_size: Size | None = None,
    class_names: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    device: str | torch.device = "cpu",
) -> LoadedModel:
    """Return any Python callable, such as a module, as a model to evaluate.

    Args:
        function: images (N, C, H, W) float32 in [0, 1] to logits (N, K), or to an object with
            `.logits`. Gradients reach the pixels if it computes with torch.
        num_classes: K; by default the number of logits that it returns.
        input_size: (C, H, W) of the images; without it the function is not tested.
        class_names: of the K outputs.
        mean: of each channel, for a function that expects normalized images.
        std: of each channel, likewise.
        name: by default that of the function or class.
        device: device of the images; a module is moved there.

    Raises:
        InvalidArgument: not a callable, or a class instead of an instance.
        ModelError: see `Wanted.examine`.
    """
    if not callable(function) or isinstance(function, type):
        raise InvalidArgument("function", function, "a callable from images to logits")
    name = name or str(getattr(function, "__qualname__", type(function).__qualname__))
    model, place = Function(function), torch.device(device)
    if input_size is not None:
        model.move(input_size, place)
    wanted = Wanted(num_classes, mean=mean, std=std, device=place)
    found = wanted.examine(
        wanted.normalized(model, input_size or _OPEN),
        name=name,
        source="callable",
        fingerprint=code_fingerprint(function, model),
        own_size=input_size or _OPEN,
    )
    if class_names is None:
        return found
    if found.num_classes not in (None, len(class_names)):
        expected = f"{found.num_classes}, one for each output"
        raise InvalidArgument("class_names", counted(len(class_names), "name"), expected)
    return replace(found, namings=(tuple(class_names),))
