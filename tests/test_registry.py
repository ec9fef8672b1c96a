from dataclasses import dataclass, field
from typing import Literal

import pytest

from rampart.errors import InvalidArgument, UnknownName
from rampart.registry import Registry


class Tool:
    pass


TOOLS: Registry[Tool] = Registry("tool")


@TOOLS.register("hammer")
@dataclass(frozen=True)
class Hammer(Tool):
    weight: float = 1.0
    kind: Literal["claw", "ball"] = "claw"
    marks: tuple[tuple[float, float], ...] = ()
    cached: int = field(default=0, init=False)

    def __post_init__(self):
        if self.weight < 0:
            raise InvalidArgument("tool.weight", self.weight, "a positive weight")
        if self.weight > 100:
            raise UnknownName("weight", "heavy", ["light"])
        if self.weight == 42:
            raise ValueError("an ordinary one")


@TOOLS.register("saw")
@dataclass(frozen=True)
class Saw(Tool):
    teeth: int


@TOOLS.register("flat", tip="flat")
@TOOLS.register("cross", tip="cross")
@dataclass(frozen=True)
class Driver(Tool):
    tip: str = "flat"
    length: int = 10


def test_names_are_in_the_order_of_registration():
    assert TOOLS.names() == ["hammer", "saw", "cross", "flat"]


def test_one_class_has_several_names_that_fix_a_field():
    assert TOOLS.build("cross", {"length": 3}) == Driver("cross", 3)
    assert TOOLS.dump(Driver("cross", 3)) == {"name": "cross", "length": 3}
    assert TOOLS.name_of(Driver()) == "flat"
    assert not TOOLS.takes("flat", "tip")
    with pytest.raises(UnknownName, match="tip"):
        TOOLS.build("flat", {"tip": "cross"})


def test_a_component_is_built_from_plain_options():
    made = TOOLS.build("hammer", {"weight": "2.5", "marks": [[0, 1], [2, 3]]})
    assert made == Hammer(2.5, marks=((0.0, 1.0), (2.0, 3.0)))
    assert TOOLS.build("hammer") == TOOLS.build("hammer", None) == Hammer()


def test_build_accepts_a_dump():
    options = TOOLS.dump(Saw(7))
    assert options == {"name": "saw", "teeth": 7}
    assert TOOLS.build(options.pop("name"), options) == Saw(7)


def test_a_name_leads_to_its_class_and_back():
    assert TOOLS.get("saw") is Saw
    assert TOOLS.name_of(Saw(1)) == "saw"
    with pytest.raises(UnknownName, match="unknown tool 'Tool'"):
        TOOLS.name_of(Tool())


def test_a_name_can_be_taken_only_once():
    with pytest.raises(InvalidArgument, match="tool=saw: expected a name that is not taken"):
        TOOLS.register("saw")(Hammer)
    assert TOOLS.get("saw") is Saw


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hamer", {}, "unknown tool 'hamer': did you mean hammer?"),
        ("hammer", {"wieght": 1}, "unknown option of tool 'hammer' 'wieght': did you mean weight?"),
        ("hammer", {"cached": 1}, "unknown option of tool 'hammer' 'cached'"),
        ("hammer", {"weight": "much"}, "tool.weight=much: expected one number"),
        ("hammer", {"kind": "soft"}, "tool.kind=soft: expected 'claw' or 'ball'."),
        ("hammer", {"marks": 3}, "tool.marks=3: expected a list."),
        ("hammer", {"marks": [[1, 2, 3]]}, "tool.marks.0=[1, 2, 3]: expected a tuple of at most 2"),
        ("hammer", {"weight": -1}, "tool.weight=-1.0: expected a positive weight."),
        ("hammer", {"weight": 200}, "unknown weight 'heavy'"),
        ("saw", {}, "tool.teeth=nothing: expected a value."),
        ("saw", {"teeth": 2.5}, "tool.teeth=2.5: expected one whole number"),
    ],
)
def test_a_bad_option_raises_a_one_line_error(name, options, message):
    with pytest.raises((InvalidArgument, UnknownName)) as caught:
        TOOLS.build(name, options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_ordinary_value_error_keeps_its_words():
    with pytest.raises(InvalidArgument, match="an ordinary one"):
        TOOLS.build("hammer", {"weight": 42})


def test_an_unknown_option_of_a_component_without_any_says_so():
    @dataclass(frozen=True)
    class Bare(Tool):
        pass

    registry: Registry[Tool] = Registry("tool")
    registry.register("bare")(Bare)
    with pytest.raises(UnknownName, match="'x': known: none"):
        registry.build("bare", {"x": 1})


def test_a_name_of_another_library_gets_advice():
    tools: Registry[Tool] = Registry("tool", {"driver": "Screws are for the hammer"})
    tools.register("hammer")(Hammer)
    with pytest.raises(UnknownName, match=r"known: hammer\. Screws are for the hammer\.$"):
        tools.get("Driver")
    with pytest.raises(UnknownName, match="rampart --import FILE"):
        tools.get("pliers")
    with pytest.raises(UnknownName, match=r"did you mean hammer\?$"):
        tools.get("hamer")
