import io
import itertools
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rampart.data.batches import Workers, epoch_batches, ordered_batches, steps_per_epoch
from rampart.data.decode import Decode, Decoded, ImageFile
from rampart.data.splits import InMemory, Split
from rampart.errors import DataError, InvalidArgument


def make_split(count):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return Split([str(i) for i in range(count)], np.arange(count) % 3, "abc", InMemory(images))


def order(batches):
    return [batch.indices.tolist() for batch in batches]


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def test_a_batch():
    split = make_split(10)
    batch = next(epoch_batches(split, 4, seed=0, epoch=0))
    assert (batch.images.shape, batch.images.dtype) == ((4, 3, 2, 2), torch.uint8)
    assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)
    assert torch.equal(batch.labels, batch.indices % 3)
    assert batch.pixels().dtype == torch.float32
    assert torch.equal(batch.pixels(), batch.images / 255)
    assert torch.equal(batch.to("cpu").labels, batch.labels)


@given(
    count=st.integers(1, 60),
    per_process=st.integers(1, 5),
    world=st.sampled_from([1, 2, 4]),
    start=st.integers(0, 5),
)
def test_all_processes_together_see_the_batches_of_one(count, per_process, world, start):
    split, size = make_split(count), per_process * world
    if count < size and count % world:
        return
    single = order(epoch_batches(split, size, seed=1, epoch=2))
    parts = [
        order(epoch_batches(split, size, seed=1, epoch=2, rank=r, world_size=world, start=start))
        for r in range(world)
    ]
    together = [joined(slices) for slices in zip(*parts, strict=True)]
    assert together == single[start:]
    assert all(len({len(s) for s in slices}) == 1 for slices in zip(*parts, strict=True))


@given(count=st.integers(1, 50), size=st.integers(1, 20), drop=st.booleans())
def test_an_epoch_sees_each_image_at_most_once(count, size, drop):
    batches = order(epoch_batches(make_split(count), size, seed=0, epoch=0, drop_last=drop))
    seen = joined(batches)
    assert len(batches) == steps_per_epoch(count, size, drop)
    assert len(set(seen)) == len(seen)
    assert len(seen) == (count if not drop or count < size else count // size * size)


def test_the_order_depends_on_seed_and_epoch_only():
    split = make_split(30)
    orders = {str(order(epoch_batches(split, 10, seed=s, epoch=e))) for s in (0, 1) for e in (0, 1)}
    torch.manual_seed(5)
    again = order(epoch_batches(split, 10, seed=1, epoch=1))
    assert len(orders) == 4
    assert str(again) in orders


@given(count=st.integers(1, 40), size=st.integers(1, 16), world=st.integers(1, 5))
def test_evaluation_sees_each_image_once(count, size, world):
    parts = [
        order(ordered_batches(make_split(count), size, rank=r, world_size=world))
        for r in range(world)
    ]
    assert sorted(joined(joined(part) for part in parts)) == list(range(count))
    if world == 1:
        assert joined(parts[0]) == list(range(count))


def test_sizes_that_cannot_be_cut_are_refused():
    with pytest.raises(InvalidArgument, match="batch_size="):
        epoch_batches(make_split(30), 10, seed=0, epoch=0, world_size=3)
    with pytest.raises(InvalidArgument, match="batch_size=0"):
        epoch_batches(make_split(30), 0, seed=0, epoch=0)


@pytest.fixture
def lazy_split(tmp_path):
    files = []
    for i in range(6):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / f"{i}.png")
        files.append(ImageFile(tmp_path / f"{i}.png"))
    ids = [file.path.name for file in files]
    return Split(ids, np.zeros(6, dtype=np.int64), ["a"], Decoded(files, ids, Decode(4)))


def test_workers_change_neither_batches_nor_the_global_generator(lazy_split):
    state = torch.get_rng_state()
    plain, worked = (
        list(epoch_batches(lazy_split, 2, seed=0, epoch=0, workers=workers)) for workers in (0, 1)
    )
    assert len(plain) == 3
    for a, b in zip(plain, worked, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.indices, b.indices)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_one_line_from_a_worker_too(lazy_split, workers):
    lazy_split.pixels.files[3].path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"^image '3.png' cannot be read \(not an image\); [^\n]*$"):
        list(ordered_batches(lazy_split, 2, workers=workers))


def _png():
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "PNG")
    return content.getvalue()


PNG = _png()


class Process:
    """An encoded image whose bytes tell by which process it was read."""

    def __init__(self, folder):
        self.folder = folder

    def read(self):
        pid = os.getpid()
        (self.folder / str(pid)).touch()
        return PNG


def test_workers_stay_from_epoch_to_epoch_and_after_one_that_was_broken_off(tmp_path):
    files = [Process(tmp_path)] * 6
    ids = [f"{i}.png" for i in range(6)]
    split = Split(ids, np.zeros(6, dtype=np.int64), ["a"], Decoded(files, ids, Decode(4)))
    kept = Workers(1)
    next(epoch_batches(split, 2, seed=0, epoch=0, workers=kept))
    for epoch in (1, 2):
        plain = list(epoch_batches(split, 2, seed=0, epoch=epoch))
        found = list(epoch_batches(split, 2, seed=0, epoch=epoch, workers=kept))
        assert [batch.indices.tolist() for batch in found] == [
            batch.indices.tolist() for batch in plain
        ]
    # One worker, and this process for the plain batches.
    assert {int(file.name) for file in tmp_path.iterdir()} - {os.getpid()} != set()
    assert len(list(tmp_path.iterdir())) == 2
