import pytest
import torch

from rampart.rows import row_norm, row_sum


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


#: Long enough for torch to split a single row among threads.
LONG = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("reduce", [row_sum, row_norm, lambda x, **o: row_norm(x, 1, **o)])
@pytest.mark.parametrize("dim", [(1, 2, 3), (2, 3)])
def test_a_single_row_is_rounded_like_one_of_several(two_threads, reduce, dim):
    whole = reduce(LONG, dim=dim)
    for row in range(3):
        alone = reduce(LONG[row : row + 1].clone(), dim=dim)
        assert torch.equal(alone, whole[row : row + 1])


def test_the_values_are_those_of_torch():
    rows = LONG.flatten(1)
    torch.testing.assert_close(row_sum(rows), rows.sum(1))
    torch.testing.assert_close(row_sum(rows, keepdim=True), rows.sum(1, keepdim=True))
    for order in (1, 2, torch.inf):
        torch.testing.assert_close(row_norm(rows, order), torch.linalg.vector_norm(rows, order, 1))
    assert row_sum(rows[:0]).shape == row_norm(rows[:0]).shape == (0,)
