"""The configuration of a model's weights in timm's format, checked before anything is built.

It may come from a stranger: a value of another kind, or a size beyond every image, would fail deep
inside timm.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rampart.errors import ModelError, shown
from rampart.value_types import expectation

Count = Annotated[int, Field(ge=0, le=1_000_000)]
#: Channels, and sides in pixels.
Size = Annotated[int, Field(ge=1, le=10_000)]
Means = Annotated[tuple[float, ...], Field(min_length=1)]
Stds = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


_WORDS = {"string_type": "text", "model_type": "names with values", "int_type": "a whole number"}


class _Described(BaseModel):
    """Keys that are read here; timm knows more, and checks the arguments of its architectures."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Arguments(_Described):
    in_chans: Size | None = None
    num_classes: Count | None = None


class _Cfg(_Described):
    input_size: tuple[Size, Size, Size] = (3, 224, 224)
    mean: Means = (0.0,)
    std: Stds = (1.0,)
    num_classes: Count | None = None
    crop_mode: str | None = None
    tag: str | None = None
    fixed_input_size: bool | None = False
    label_names: tuple[str, ...] | None = None


class _Config(_Described):
    architecture: str
    num_classes: Count | None = None
    label_names: tuple[str, ...] | None = None
    model_args: _Arguments | None = None
    pretrained_cfg: _Cfg | None = None


def require_sound(described: dict[str, Any], place: str) -> None:
    """Refuse a configuration whose keys have values of another kind or size than timm's.

    Args:
        described: as read from JSON, with "architecture".
        place: the file or the name on the hub, for the error.

    Raises:
        ModelError: names the key, its value and what was expected.
    """
    try:
        _Config.model_validate(_with_tuples(described))
    except ValidationError as error:
        first = error.errors()[0]
        expected = _WORDS.get(first["type"]) or expectation(first["msg"])
        key = ".".join(map(str, first["loc"]))
        raise ModelError(
            f"model configuration '{place}': {key}={shown(first['input'])}: expected "
            f"{expected}; write it as timm does, or save the model again."
        ) from None


def _with_tuples(value: Any) -> Any:
    """Return a value with tuples in place of lists, as pydantic's strict mode wants them."""
    if isinstance(value, dict):
        return {key: _with_tuples(one) for key, one in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value
