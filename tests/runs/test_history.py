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
    with pytest.raises(RunError, match=r"line 4.*--resume"):
        history.rows()
    assert len(history.readable_rows()) == 3
    history.truncate(2)
    assert history.rows() == [{"epoch": 1}, {"epoch": 2}]


def written(path, epochs=4):
    history = History(path / "history.jsonl")
    for epoch in range(1, epochs + 1):
        history.append({"epoch": epoch, "loss": 0.5 / epoch})
    return history


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-9],
        lambda line: line.replace(b"0.25", b"0.35"),
        lambda line: line.replace(b"loss", b"\xff\xfeos"),
        lambda line: b"",
        lambda line: b"[1, 2]",
        lambda line: line + line,
    ],
)
def test_damage_before_the_last_line_is_refused_and_nothing_is_dropped(tmp_path, damage):
    history = written(tmp_path)
    lines = history.path.read_bytes().split(b"\n")
    lines[1] = damage(lines[1])
    history.path.write_bytes(b"\n".join(lines))
    before = history.path.read_bytes()
    for read in (history.rows, history.readable_rows, lambda: history.truncate(1)):
        with pytest.raises(RunError, match=r"history\.jsonl is damaged \(line 2: .*--overwrite"):
            read()
    assert history.path.read_bytes() == before


def test_rows_that_the_checkpoint_needs_must_be_there(tmp_path):
    history = written(tmp_path, 3)
    history.path.write_bytes(history.path.read_bytes()[:-9])
    with pytest.raises(RunError, match=r"line 3.*comes after 3 epochs"):
        history.truncate(3)
    history.truncate(2)
    with pytest.raises(RunError, match="2 whole rows, but the checkpoint comes after 3 epochs"):
        history.truncate(3)


def test_rows_of_older_versions_have_no_checksum(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.path.write_text('{"epoch": 1}\n{"epoch": 2}')
    assert history.rows() == [{"epoch": 1}, {"epoch": 2}]
