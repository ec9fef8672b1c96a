import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.batches import ordered_batches
from rampart.data.splits import InMemory, Split
from rampart.data.subset import drawing_order, numbers_of, subset
from rampart.errors import DataError, InvalidArgument


def make_split(counts):
    """A split whose image i has the value i; the labels are in no particular order."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(len(labels)).permutation(labels)
    images = torch.arange(len(labels), dtype=torch.int32).view(-1, 1, 1, 1)
    names = [f"c{i}" for i in range(len(counts))]
    return Split([f"i{i}" for i in range(len(labels))], labels, names, InMemory(images))


SPLIT = make_split([7, 30, 13])


@given(st.integers(1, 50), st.booleans(), st.integers(0, 3))
def test_an_image_keeps_label_id_and_number(limit, stratified, seed):
    part = subset(SPLIT, limit=limit, stratified=stratified, seed=seed)
    numbers = numbers_of(part)
    assert len(part) == limit == len(set(numbers))
    assert (np.diff(numbers) > 0).all()
    for i, (image, label, number) in enumerate(part[i] for i in range(limit)):
        assert (image.item(), number, part.ids[i]) == (numbers[i], numbers[i], f"i{numbers[i]}")
        assert label == SPLIT.labels[number]
    batches = list(ordered_batches(part, 4))
    assert torch.cat([batch.indices for batch in batches]).tolist() == numbers.tolist()


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=8), st.data(), st.booleans(), st.integers()
)
def test_a_larger_draw_contains_a_smaller_one(counts, data, stratified, seed):
    split = make_split(counts)
    larger = data.draw(st.integers(1, len(split)))
    smaller = data.draw(st.integers(1, larger))
    small, large = (
        set(subset(split, limit=n, stratified=stratified, seed=seed).ids) for n in (smaller, larger)
    )
    assert small <= large


@pytest.mark.parametrize("stratified", [False, True])
def test_a_draw_takes_the_first_images_of_the_drawing_order(stratified):
    options = {"stratified": stratified, "seed": 3, "ids": [f"i{n}" for n in range(5, 45)]}
    order = drawing_order(SPLIT, **options)
    assert sorted(order) == list(range(5, 45))
    for n in (1, 9, 40):
        assert sorted(order[:n]) == numbers_of(subset(SPLIT, limit=n, **options)).tolist()
        assert drawing_order(SPLIT, limit=n, **options).tolist() == order[:n].tolist()


@given(st.lists(st.integers(1, 200), min_size=2, max_size=12), st.data())
def test_a_stratified_draw_has_the_rounded_fraction_of_each_class(counts, data):
    split = make_split(counts)
    limit = data.draw(st.integers(1, len(split)))
    part = subset(split, limit=limit, stratified=True)
    fraction = limit * np.array(counts) / len(split)
    found = np.bincount(part.labels, minlength=len(counts))
    assert (found >= np.floor(fraction)).all()
    assert (found <= np.ceil(fraction)).all()


def test_draws_are_random_and_keyed_by_the_seed():
    split = make_split([100, 100])
    draws = [subset(split, limit=20, seed=seed).ids for seed in range(200)]
    assert draws[0] == subset(split, limit=20, seed=0).ids
    assert len({tuple(draw) for draw in draws}) == 200
    times = np.bincount([int(i[1:]) for draw in draws for i in draw], minlength=200)
    # Binomial(200, 0.1) for each image: mean 20, standard deviation 4.2.
    assert times.mean() == 20
    assert 3.5 < times.std() < 5
    assert times.min() > 5


def test_stratified_draws_are_random_within_classes_and_in_the_remainder():
    split = make_split([50, 50, 50])
    draws = [subset(split, limit=4, stratified=True, seed=seed) for seed in range(60)]
    twice = {int(np.bincount(draw.labels).argmax()) for draw in draws}
    assert twice == {0, 1, 2}
    assert len({i for draw in draws for i in draw.ids}) > 80


def test_ids_are_taken_in_the_order_of_the_split(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_text("i9\n\n i3 \r\ni40\n", encoding="utf-8")
    for ids in (["i9", "i3", "i40"], file, str(file)):
        assert numbers_of(subset(SPLIT, ids=ids)).tolist() == [3, 9, 40]


def test_draws_among_ids_and_from_a_subset_keep_the_numbers():
    ids = [f"i{i}" for i in range(10, 30)]
    part = subset(SPLIT, ids=ids)
    drawn = subset(part, limit=5, seed=4)
    assert drawn.ids == subset(SPLIT, ids=ids, limit=5, seed=4).ids
    assert [f"i{n}" for n in numbers_of(drawn)] == drawn.ids
    assert [item[2] for item in (part.subset([7, 0])[i] for i in (0, 1))] == [17, 10]


def test_without_limit_and_ids_it_is_the_split_itself():
    assert subset(SPLIT) is SPLIT
    assert subset(SPLIT, limit=len(SPLIT)).fingerprint() == SPLIT.fingerprint()


@pytest.mark.parametrize("limit", [0, -1, 51, 2.0, True])
def test_limits_out_of_range_are_refused(limit):
    with pytest.raises(InvalidArgument, match=r"limit=.* 50\b"):
        subset(SPLIT, limit=limit)


def test_stratified_needs_a_limit():
    with pytest.raises(InvalidArgument, match="stratified="):
        subset(SPLIT, stratified=True)


def test_wrong_ids_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"4 of 5 ids .*'a', 'b', 'c', .*'i0'"):
        subset(SPLIT, ids=["a", "b", "i1", "c", "d"])
    with pytest.raises(DataError, match="'i1' is listed 2 times"):
        subset(SPLIT, ids=["i1", "i2", "i1"])
    with pytest.raises(DataError, match="ids is empty"):
        subset(SPLIT, ids=[])
    with pytest.raises(DataError, match="cannot be read"):
        subset(SPLIT, ids=tmp_path / "missing.txt")
