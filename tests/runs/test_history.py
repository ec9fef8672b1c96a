import pytest

from rampart.errors import RunError
from rampart.runs.history import History


def test_rows_come_back_in_order(tmp_path):
    history = History(tmp_path / "history.jsonl")
    assert history.rows() == []
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch, "loss": 0.1 * epoch})
    assert [row["epoch"] for row in history.rows()] == [1, 2, 3]
    assert history.rows()[2]["loss"] == 0.1 * 3


def test_truncation_drops_later_rows_and_a_torn_line(tmp_path):
    history = History(tmp_path / "history.jsonl")
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch})
    with history.path.open("a") as file:
        file.write('{"epoch": 4, "lo')
    with pytest.raises(RunError, match="line 4"):
        history.rows()
    history.truncate(2)
    assert history.rows() == [{"epoch": 1}, {"epoch": 2}]
