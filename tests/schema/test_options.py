"""The listed options of components are those of the code."""

from typing import get_type_hints

import pytest

from rampart.attacks.catalogue import ATTACKS
from rampart.objectives.catalogue import OBJECTIVES
from rampart.schema.options import OPTIONS, SEVERAL
from rampart.value_types import takes_several


@pytest.mark.parametrize(("kind", "registry"), [("attack", ATTACKS), ("objective", OBJECTIVES)])
def test_every_option_is_listed(kind, registry):
    own = [name for name in registry.names() if registry.get(name).__module__.startswith("rampart")]
    assert len(own) > 3
    assert {option for name in own for option in registry.options(name)} == OPTIONS[kind]


@pytest.mark.parametrize("registry", [ATTACKS, OBJECTIVES])
def test_every_option_takes_a_single_value(registry):
    hints = [(name, get_type_hints(registry.get(name))) for name in registry.names()]
    several = [
        (name, option)
        for name, one in hints
        for option in registry.options(name)
        if takes_several(one[option])
    ]
    assert {option for _, option in several} == SEVERAL[registry.kind]
