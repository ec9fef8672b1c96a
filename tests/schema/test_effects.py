"""Every field is marked with the first result that it changes."""

from typing import Any

import pytest

from rampart.schema.effects import effect_of, fields_that_affect, mark_of
from rampart.schema.fields import RunFields
from rampart.schema.learning import TrainingConfig
from rampart.schema.measuring import EvaluationConfig
from rampart.schema.sections import AffectsNothing, Component, Section


def unmarked(section: Any, prefix: str = "") -> list[str]:
    """Return fields without a mark, and sections that are marked although their fields are."""
    found = []
    for name, field in section.model_fields.items():
        inner, key = field.annotation, f"{prefix}{name}"
        plain = isinstance(inner, type) and issubclass(inner, Section)
        if plain and not issubclass(inner, Component):
            found += unmarked(inner, f"{key}.") + ([key] if mark_of(field) else [])
        elif mark_of(field) is None:
            found.append(key)
    return found


def test_every_field_is_marked():
    assert unmarked(RunFields) == []
    assert len(TrainingConfig.model_fields) > 10


def test_a_field_without_a_mark_is_found():
    class Inner(Section):
        marked: AffectsNothing[int] = 0
        bare: int = 0

    class Outer(Section):
        inner: Inner = Inner()
        both: AffectsNothing[Inner] = Inner()

    assert unmarked(Outer) == ["inner.bare", "both.bare", "both"]


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        ("training.monitors", "nothing"),
        ("evaluation.batch_size", "nothing"),
        ("evaluation.attack.steps", "evaluation"),
        ("evaluation.strengths", "evaluation"),
        ("training.batch_size", "training"),
        ("schedule.end", "training"),
        ("strategies", "training"),
        ("model.options.drop_rate", "training"),
        ("data.augment.flip", "training"),
        # A key of another version.
        ("training.forgotten", "training"),
        ("evaluated", "training"),
    ],
)
def test_a_key_has_the_effect_of_its_field(key, effect):
    assert effect_of(key) == effect


def test_fields_by_effect_make_up_the_section():
    figures, nothing = (fields_that_affect(EvaluationConfig, e) for e in ("evaluation", "nothing"))
    assert sorted(figures + nothing) == sorted(EvaluationConfig.model_fields)
