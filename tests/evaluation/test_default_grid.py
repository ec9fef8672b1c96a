import numpy as np
import pytest

from rampart.errors import InvalidArgument
from rampart.evaluation.default_grid import default_grid
from rampart.units import parse_eps


def test_the_grid_of_the_publication_is_whole_gray_levels():
    for levels in range(1, 256):
        grid = default_grid(parse_eps(f"{levels}/255"), "linf", 1)
        assert grid == tuple(k / 255 for k in range(levels + 1))


@pytest.mark.parametrize("levels", [*range(1, 33), 0.5, 2.5, 9.3])
def test_the_default_grid_has_eight_strengths_and_every_gray_level(levels):
    eps = levels / 255
    grid = default_grid(eps, "linf")
    assert len(grid) > 8
    assert set(default_grid(eps, "linf", 1)) <= set(grid)
    assert list(grid) == sorted(set(grid))
    # No finer than needed: from eight gray levels on the grid is the published one.
    assert len(grid) <= max(16, levels + 2)


def test_default_grid_ends_at_eps():
    assert default_grid(2.5 / 255, "linf", 1) == (0.0, 1 / 255, 2 / 255, 2.5 / 255)
    assert default_grid(0.5 / 255, "linf", 1) == (0.0, 0.5 / 255)
    assert default_grid(0.3, "l2")[-1] == 0.3
    assert np.diff(default_grid(0.3, "l2")) == pytest.approx([0.3 / 8] * 8)
    assert default_grid(0.0, "linf") == default_grid(0.0, "l2") == (0.0,)


def test_the_grid_of_the_smallest_strength_ends_there():
    assert default_grid(1e-320, "linf")[-1] == 1e-320


def test_gray_levels_in_place_of_a_strength_are_refused():
    with pytest.raises(InvalidArgument, match="eps=8.*write 8/255"):
        default_grid(8, "linf")
    assert default_grid(8, "l2")[-1] == 8
