import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.units import (
    MAX_EPS,
    NORMS,
    Horizon,
    format_eps,
    parse_eps,
    parse_norm,
    parse_precision,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4/255", 4 / 255),
        (" 4 / 255 ", 4 / 255),
        ("0.5/255", 0.5 / 255),
        ("4.5 / 255.0", 4.5 / 255),
        ("0", 0),
        ("0/255", 0),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("1", 1),
        (0, 0),
        (1, 1),
        (4 / 255, 4 / 255),
    ],
)
def test_strengths_are_parsed_exactly(text, expected):
    assert parse_eps(text) == expected


@pytest.mark.parametrize("norm", NORMS)
def test_each_norm_has_its_range(norm):
    assert parse_eps(MAX_EPS[norm], norm) == MAX_EPS[norm]
    with pytest.raises(InvalidArgument, match=rf"in \[0, {MAX_EPS[norm]:g}\]"):
        parse_eps(MAX_EPS[norm] * 1.01, norm)


@pytest.mark.parametrize(
    ("eps", "message"),
    [
        (4, "write 4/255 for 4 gray levels"),
        ("4", "write 4/255 for 4 gray levels"),
        ("8/2", "write 4/255 for 4 gray levels"),
        (255.0, "write 255/255"),
        (-1, "eps=-1: expected"),
        ("-4/255", "eps=-4/255: expected"),
        ("four", "such as 4/255"),
        ("", "such as 4/255"),
        ("1/0", "such as 4/255"),
        ("1/2/3", "such as 4/255"),
        ("/255", "such as 4/255"),
        ("nan", "such as 4/255"),
        (math.nan, "such as 4/255"),
        (None, "such as 4/255"),
        (True, "such as 4/255"),
        ([0.1], "such as 4/255"),
        ("1e400", "such as 4/255"),
    ],
)
def test_other_scales_and_other_things_are_refused(eps, message):
    with pytest.raises(InvalidArgument, match=message):
        parse_eps(eps)


@pytest.mark.parametrize("eps", [-1, 256, 1000, math.inf])
def test_no_advice_is_given_that_would_be_refused_again(eps):
    with pytest.raises(InvalidArgument) as caught:
        parse_eps(eps)
    assert "write" not in str(caught.value)


def test_an_error_names_the_argument():
    with pytest.raises(InvalidArgument, match="^threat.eps=9"):
        parse_eps(9, name="threat.eps")


@pytest.mark.parametrize(
    ("eps", "expected"),
    [
        (0, "0"),
        (4 / 255, "4/255"),
        (254 / 255, "254/255"),
        (0.5, "0.5"),
        (1, "1"),
        (3, "3"),
        (1e-9, "1e-09"),
        (1.5 / 255, "0.00588235"),
    ],
)
def test_the_usual_spelling(eps, expected):
    assert format_eps(eps) == expected


@pytest.mark.parametrize(
    ("eps", "like", "expected"),
    [
        (4 / 255, 4 / 255, "4/255"),
        (1.5 / 255, 4 / 255, "1.5/255"),
        (2.5678 / 255, 4 / 255, "2.57/255"),
        (0, 4 / 255, "0"),
        (0.25, 0.5, "0.25"),
        (4 / 255, 0.5, "0.0157"),
        (1.5, 3, "1.5"),
    ],
)
def test_a_strength_is_spelled_like_another(eps, like, expected):
    assert format_eps(eps, like) == expected


@given(st.floats(0, 1024) | st.integers(0, 600).map(lambda levels: levels / 255))
def test_the_exact_spelling_gives_the_same_number_back(eps):
    assert parse_eps(format_eps(eps, exact=True), "l1") == eps


def test_the_exact_spelling_of_gray_levels_is_the_usual_one():
    assert format_eps(4 / 255, exact=True) == "4/255"
    assert format_eps(4 / 255 + 1e-12, exact=True) != "4/255"


@given(st.integers(0, 255))
def test_gray_levels_survive_spelling_and_parsing(levels):
    assert parse_eps(format_eps(levels / 255)) == levels / 255


@given(st.floats(0, 1))
def test_any_strength_survives_to_six_digits(eps):
    assert parse_eps(format_eps(eps)) == pytest.approx(eps, rel=1e-5, abs=1e-5 / 255)


def test_norms_are_known_by_name():
    assert [parse_norm(norm) for norm in ("linf", "l2", "l1")] == ["linf", "l2", "l1"]
    with pytest.raises(InvalidArgument, match="norm=l_inf: expected linf, l2 or l1"):
        parse_norm("l_inf")


def test_a_horizon_counts_steps():
    assert Horizon(3, 5).steps == 15


@pytest.mark.parametrize(("epochs", "steps", "name"), [(0, 5, "epochs"), (3, 0, "steps_per_epoch")])
def test_an_empty_run_is_refused(epochs, steps, name):
    with pytest.raises(InvalidArgument, match=f"^{name}=0"):
        Horizon(epochs, steps)


def test_a_fraction_above_1_gets_no_advice_on_gray_levels():
    with pytest.raises(InvalidArgument) as caught:
        parse_eps("300/255")
    assert "/255 for" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="write 4/255"):
        parse_eps("4")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1%", 0.01), (" 0.5 %", 0.005), (0.02, 0.02), ("0.02", 0.02), ("1/50", 0.02)],
)
def test_a_precision_is_in_percent_or_a_fraction(text, value):
    assert parse_precision(text) == value


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (1, "write 1% if you mean percent"),
        ("0.5", "write 0.5% if you mean percent"),
        *((bad, "write 1% for one point") for bad in (0, -0.01, "0%", "30%", "wide", "nan", True)),
    ],
)
def test_a_precision_without_unit_or_out_of_range_is_refused(value, advice):
    with pytest.raises(InvalidArgument, match=f"^until=.*{advice}"):
        parse_precision(value)
