import pytest

from rampart.counting import counted, in_millions, in_thousands, spell_hours


def test_one_is_not_in_the_plural():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(n, "pass") for n in (1, 12)] == ["1 pass", "12 passes"]
    assert counted(3, "class") == "3 classes"


def test_a_number_with_a_fraction_is_in_the_plural():
    assert counted(0.5, "epoch") == "0.5 epochs"
    assert [counted(n, "epoch") for n in (1.0, 37.0)] == ["1 epoch", "37 epochs"]


@pytest.mark.parametrize("spell", [in_thousands, in_millions, spell_hours])
def test_a_small_amount_is_not_shown_as_zero(spell):
    small = [
        spell(10**power).split() for power in range(-6, 9) if spell is spell_hours or power > 0
    ]
    assert not any(word in ("0", "0.0") for words in small for word in words)
    assert spell(10**6) != spell(10**7)


def test_a_large_number_has_a_unit():
    numbers = (0, 940, 41_200, 2_000_000)
    assert [in_thousands(n) for n in numbers] == ["0", "940", "41 k", "2,000 k"]
    assert [in_millions(n) for n in numbers] == ["0", "940", "41 k", "2.0 M"]


def test_a_time_below_an_hour_is_in_minutes():
    times = [spell_hours(hours) for hours in (0.01, 1 / 60, 0.5, 1, 1234.56)]
    assert times[:3] == ["less than a minute", "about 1 minute", "about 30 minutes"]
    assert times[3:] == ["about 1.0 hours", "about 1,234.6 hours"]
