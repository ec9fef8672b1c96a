"""Work without a display, on a display, and nested."""

from contextlib import contextmanager

import pytest

from rampart.progress.work import is_shown, showing, tell, watched, working


class Recording:
    """Records what it is shown."""

    def __init__(self):
        self.seen = []

    def tell(self, text):
        self.seen.append(text)

    @contextmanager
    def begin(self, work):
        self.seen.append((work.name, work.done, work.total, work.unit))
        yield lambda done, note="": self.seen.append((work.name, done))
        self.seen.append((work.name, "end"))


def test_nothing_is_shown_without_a_display(capsys):
    with working("decoding", 2) as update:
        update(1)
        update(2, "note")
    assert list(watched([1, 2], "decoding", 2)) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_display_is_shown_work_and_parts_of_it():
    display = Recording()
    assert not is_shown()
    with showing(display), working("training", 2, "step", done=1) as update:
        assert is_shown()
        tell("two minutes")
        update(2)
        assert list(watched("ab", "validation", 4, count=lambda part: 2)) == ["a", "b"]
    assert display.seen == [
        *(
            ("training", 1, 2, "step"),
            "two minutes",
            ("training", 2),
            ("validation", 0, 4, "image"),
        ),
        *(("validation", 2), ("validation", 4), ("validation", "end"), ("training", "end")),
    ]


def test_a_display_ends_with_its_block_also_after_an_error():
    display = Recording()
    with pytest.raises(ValueError, match="planted"), showing(display):
        raise ValueError("planted")
    list(watched([1], "decoding", 1))
    assert display.seen == []
