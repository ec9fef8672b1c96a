import json

from torch import nn

from rampart.training.guards.base import Guard, Look, Remark, begins, watch


class Counting(Guard):
    """Counts its looks, and speaks at the second one."""

    def __init__(self, name):
        self.name = name

    def query(self, model, row, memory):
        memory["looks"] = memory.get("looks", 0) + 1
        remarks = (Remark(self.name, f"{self.name} in {row['epoch']}"),)
        return Look({f"{self.name}_looks": memory["looks"]}, remarks * (memory["looks"] == 2))


def test_figures_are_always_added_and_warnings_only_where_something_is_said():
    guards, memories, model = [Counting("a"), Counting("b")], {}, nn.Identity()
    assert watch(guards, model, {"epoch": 1}, memories) == {"a_looks": 1, "b_looks": 1}
    memories["b"]["looks"] = 5
    assert watch(guards, model, {"epoch": 2}, memories) == {
        "a_looks": 2,
        "b_looks": 6,
        "warnings": [{"code": "a", "message": "a in 2"}],
    }
    assert json.loads(json.dumps(memories)) == memories == {"a": {"looks": 2}, "b": {"looks": 6}}


def test_without_monitors_nothing_is_added():
    assert watch((), nn.Identity(), {"epoch": 1}, {}) == {}


def test_what_lasts_begins_once():
    memory = {}
    holds = [False, True, True, False, True]
    assert [begins(memory, now) for now in holds] == [False, True, False, False, True]
