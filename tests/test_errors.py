import pickle

import pytest

from rampart.errors import (
    DataError,
    InvalidArgument,
    MissingExtra,
    ModelError,
    RampartError,
    RunError,
    UnknownName,
    nearest,
    reason,
)


def test_an_invalid_argument_reports_value_expectation_and_advice():
    error = InvalidArgument("eps", 4, "a fraction", "write 4/255")
    assert str(error) == "eps=4: expected a fraction; write 4/255."
    assert str(InvalidArgument("eps", 4, "a fraction")) == "eps=4: expected a fraction."


def test_an_unknown_name_offers_the_nearest_ones():
    error = UnknownName("schedule", "two-hing", ["fix", "two-hinge"])
    assert (
        str(error) == "unknown schedule 'two-hing': did you mean two-hinge? Known: fix, two-hinge."
    )


def test_a_short_list_of_known_names_is_shown_beside_the_nearest():
    error = UnknownName("option", "steps", ["step_size", "start", "Norm"])
    assert str(error) == (
        "unknown option 'steps': did you mean step_size? Known: Norm, start, step_size."
    )


def test_an_unknown_name_without_near_ones_lists_all():
    error = UnknownName("schedule", "zzz", iter(["two-hinge", "fix"]))
    assert str(error) == "unknown schedule 'zzz': known: fix, two-hinge."


def test_a_missing_extra_names_the_command_that_installs_it():
    error = MissingExtra("datasets", "hub", "data from the Hugging Face hub")
    assert "pip install 'rampart-rft[hub]'" in str(error)
    assert isinstance(error, ImportError)


@pytest.mark.parametrize(
    "error", [InvalidArgument, UnknownName, DataError, ModelError, RunError, MissingExtra]
)
def test_every_error_is_a_rampart_error(error):
    assert issubclass(error, RampartError)


def test_wrong_values_are_value_errors():
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(UnknownName, ValueError)


def test_nearest_lists_a_few_best_first():
    known = ["resnet18", "resnet50", "resnet101", "resnet152", "vit"]
    assert nearest("resnet5", known)[0] == "resnet50"
    assert len(nearest("resnet", known)) == 3
    assert nearest("resnet", known, n=1) != []
    assert nearest("xyz", known) == []


def test_names_that_share_only_their_section_are_not_near():
    known = ["optimizer.warmup", "optimizer.head_lr", "optimizer.clip_norm"]
    assert nearest("optimizer.name", known) == []
    assert nearest("optimizer.warmpu", known) == ["optimizer.warmup"]
    assert nearest("sgd", ["standard", "linear"]) == nearest("dropout", ["root"]) == []


@pytest.mark.parametrize(
    "error",
    [
        RampartError("plain"),
        InvalidArgument("eps", 4, "a fraction", "write 4/255"),
        InvalidArgument("decay", 2, "below 1").renamed("callbacks.decay"),
        UnknownName("attack", "agpd", ["apgd"]),
        MissingExtra("peft", "lora", "LoRA"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_renamed_argument_keeps_the_rest_of_the_sentence():
    error = InvalidArgument("decay", 2, "below 1", "write 0.9")
    renamed = error.renamed("callbacks.decay")
    assert str(renamed) == f"callbacks.{error}"
    assert (error.name, renamed.name) == ("decay", "callbacks.decay")


def test_the_reason_is_one_line_and_the_last_one_of_torchscript():
    assert reason(ValueError("first\nsecond")) == "ValueError: first"
    text = "The following operation failed in the TorchScript interpreter.\ncode\nError: shapes"
    assert reason(RuntimeError(text)) == "RuntimeError: Error: shapes"
    assert reason(KeyError()) == "KeyError"
