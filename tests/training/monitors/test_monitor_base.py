import json

from torch import nn

from rampart.training.monitors.base import Alert, Monitor, Observation, begins, run_monitors


class Counting(Monitor):
    """Counts its looks, and speaks at the second one."""

    def __init__(self, name):
        self.name = name

    def query(self, model, row, memory):
        memory["looks"] = memory.get("looks", 0) + 1
        alerts = (Alert(self.name, f"{self.name} in {row['epoch']}"),)
        return Observation({f"{self.name}_looks": memory["looks"]}, alerts * (memory["looks"] == 2))


def test_figures_are_always_added_and_warnings_only_where_something_is_said():
    monitors, memories, model = [Counting("a"), Counting("b")], {}, nn.Identity()
    assert run_monitors(monitors, model, {"epoch": 1}, memories) == {"a_looks": 1, "b_looks": 1}
    memories["b"]["looks"] = 5
    assert run_monitors(monitors, model, {"epoch": 2}, memories) == {
        "a_looks": 2,
        "b_looks": 6,
        "alerts": [{"code": "a", "message": "a in 2"}],
    }
    assert json.loads(json.dumps(memories)) == memories == {"a": {"looks": 2}, "b": {"looks": 6}}


def test_without_monitors_nothing_is_added():
    assert run_monitors((), nn.Identity(), {"epoch": 1}, {}) == {}


def test_what_lasts_begins_once():
    memory = {}
    holds = [False, True, True, False, True]
    assert [begins(memory, now) for now in holds] == [False, True, False, False, True]
