import json

from torch import nn

from rampart.training.monitors.base import Alert, Monitor, Observation, begins, run_monitors


class Counting(Monitor):
    """Counts its observations and raises an alert at the second one."""

    def __init__(self, name):
        self.name = name

    def observe(self, model, row, memory):
        memory["count"] = memory.get("count", 0) + 1
        alerts = (Alert(self.name, f"{self.name} in {row['epoch']}"),)
        return Observation({f"{self.name}_count": memory["count"]}, alerts * (memory["count"] == 2))


def test_figures_are_always_added_and_alerts_only_if_there_are_any():
    monitors, memories, model = [Counting("a"), Counting("b")], {}, nn.Identity()
    assert run_monitors(monitors, model, {"epoch": 1}, memories) == {"a_count": 1, "b_count": 1}
    memories["b"]["count"] = 5
    assert run_monitors(monitors, model, {"epoch": 2}, memories) == {
        "a_count": 2,
        "b_count": 6,
        "alerts": [{"code": "a", "message": "a in 2"}],
    }
    assert json.loads(json.dumps(memories)) == memories == {"a": {"count": 2}, "b": {"count": 6}}


def test_without_monitors_nothing_is_added():
    assert run_monitors((), nn.Identity(), {"epoch": 1}, {}) == {}


def test_a_lasting_condition_begins_once():
    memory = {}
    holds = [False, True, True, False, True]
    assert [begins(memory, now) for now in holds] == [False, True, False, False, True]
