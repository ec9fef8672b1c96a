"""Bars of tqdm, as other libraries draw them, on our displays."""

import io
import sys

import pytest
from tqdm.auto import tqdm

from rampart.progress import pace
from rampart.progress.bars import Bars
from rampart.progress.lines import Lines
from rampart.progress.tqdm_bars import MEGABYTE, tqdm_bars
from rampart.progress.work import showing
from rampart.terminal import Terminal


@pytest.fixture
def now(monkeypatch):
    time = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def lines(now):
    """The lines of a display for files."""
    said = []
    with showing(Lines(said.append)):
        yield said


def transfer(bar, now, times, megabytes=10, seconds=20):
    for _ in range(times):
        now[0] += seconds
        bar.update(megabytes * MEGABYTE)


@pytest.mark.parametrize("disable", [None, False])
def test_a_download_is_shown_with_its_rate_and_remaining_time(lines, now, capfd, disable):
    """None draws no bar outside a terminal, and False draws one even into a file."""
    options = {"unit": "B", "unit_scale": True, "disable": disable}
    with tqdm_bars(), tqdm(desc="model.safetensors: ", total=100 * MEGABYTE, **options) as bar:
        transfer(bar, now, 2)
    assert lines == [
        "model.safetensors: 10 of 100 megabytes, 30.0 megabytes/min, about 3 minutes left",
        "model.safetensors: 20 of 100 megabytes, 30.0 megabytes/min, about 3 minutes left",
    ]
    assert capfd.readouterr() == ("", "")


def test_a_resumed_download_counts_what_is_there(lines, now):
    with tqdm_bars("weights"), tqdm(total=50 * MEGABYTE, initial=30 * MEGABYTE, unit="B") as bar:
        transfer(bar, now, 1)
    assert lines == ["weights: 40 of 50 megabytes, 30.0 megabytes/min, less than a minute left"]


def test_a_total_may_be_unknown_or_grow(lines, now):
    with tqdm_bars("files"), tqdm(total=0, unit="B") as bar:
        transfer(bar, now, 1)
        bar.total = 60 * MEGABYTE
        bar.update(0)
        transfer(bar, now, 1)
    assert lines == [
        "files: 10 megabytes, 30.0 megabytes/min",
        "files: 20 of 60 megabytes, 30.0 megabytes/min, about 1 minute left",
    ]


def test_other_bars_are_shown_in_their_units(lines, now):
    with tqdm_bars():
        for _ in tqdm(range(3), desc="Generating train split", unit=" examples"):
            now[0] += 90
    assert lines[0] == (
        "Generating train split: 1 of 3 examples, 40.0 examples/h, about 3 minutes left"
    )
    assert len(lines) == 2, "and none at the end"


def test_a_bar_that_the_user_has_disabled_stays_hidden(lines, now):
    with tqdm_bars(), tqdm(total=100 * MEGABYTE, unit="B", disable=True) as bar:
        transfer(bar, now, 3)
    assert lines == []


def test_bars_end_with_the_block_also_after_an_error(now):
    screen = io.StringIO()
    display = Bars(Terminal(file=screen, width=80, force_terminal=True))
    with showing(display), pytest.raises(ConnectionError), tqdm_bars():
        break_off(display, now)
    assert display._progress.tasks == []


def break_off(display, now):
    bar = tqdm(desc="weights", total=9 * MEGABYTE, unit="B")
    transfer(bar, now, 1, megabytes=3)
    assert [task.completed for task in display._progress.tasks] == [3]
    raise ConnectionError


def test_without_a_display_tqdm_draws_as_ever():
    own = {name: getattr(tqdm, name) for name in ("__init__", "__iter__", "update", "close")}
    out = io.StringIO()
    with tqdm_bars(), tqdm(total=2, file=out) as bar:
        bar.update()
    assert "1/2" in out.getvalue()
    with showing(Lines(sys.exit)), tqdm_bars():
        pass
    assert {name: getattr(tqdm, name) for name in own} == own, "put back"
