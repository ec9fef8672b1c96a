"""Shards of WebDataset."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from rampart.data.datasets import load_defined, load_splits
from rampart.errors import DataError, UnknownName

NAMES = ("cat", "dog")


def png(number):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def samples(start, count, label=lambda number: str(number % 2).encode(), ending="cls"):
    return {
        name: content
        for number in range(start, start + count)
        for name, content in (
            (f"{number:04d}.png", png(number)),
            (f"{number:04d}.{ending}", label(number)),
        )
    }


def parts(name, **how):
    found = load_defined(str(name), image_size=8, **how).parts
    return {split: len(part) for split, part in found.items()}


def test_shards_in_folders_of_splits_with_class_names(tmp_path):
    write(tmp_path / "train" / "0.tar", samples(0, 10))
    write(tmp_path / "train" / "1.tar", samples(10, 10))
    write(tmp_path / "test" / "0.tar", samples(20, 4))
    (tmp_path / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    splits = load_splits(str(tmp_path), image_size=8)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [18, 2, 4]
    assert splits.class_names == ["cat", "dog"]
    assert list(splits.test.ids) == [f"test/0/{number:04d}" for number in range(20, 24)]
    assert splits.test.labels.tolist() == [0, 1, 0, 1]
    expected = np.random.default_rng(22).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    own = load_splits(str(tmp_path), image_size=9).test.pixels(2)
    assert (own.permute(1, 2, 0).numpy() == expected).all()


def test_the_name_of_a_shard_tells_its_split(tmp_path):
    for number in (10, 2, 0):
        write(tmp_path / f"train-{number}.tar", samples(100 * number, 2))
    write(tmp_path / "val-0.tar", samples(5000, 2))
    assert parts(tmp_path) == {"train": 6, "validation": 2}
    ids = load_defined(str(tmp_path), image_size=8).parts["train"].ids
    assert [one.split("/")[0] for one in ids[::2]] == ["train-0", "train-2", "train-10"]
    notes = load_defined(str(tmp_path), image_size=8).notes
    assert notes[0].startswith("4 shards in")
    assert notes[1].startswith("train: there are shards 0 to 10, but without 1, 3, 4, ...")
    (tmp_path / "val-0.tar").rename(tmp_path / "imagenet-val-0.tar")
    with pytest.raises(DataError, match="data.splits.validation=imagenet-val"):
        parts(tmp_path)
    named = {"train": "train", "validation": "imagenet-val"}
    assert parts(tmp_path, splits=named) == {"train": 6, "validation": 2}


def test_one_shard_and_a_range_of_shards(tmp_path):
    for number in range(3):
        write(tmp_path / f"part-{number:03d}.tar", samples(100 * number, 4))
    assert parts(tmp_path / "part-001.tar") == {"train": 4}
    assert parts(tmp_path / "part-{000..002}.tar") == {"train": 12}
    assert parts("part-{001..002}.tar", root=str(tmp_path)) == {"train": 8}
    with pytest.raises(DataError, match="5 shards, but 2 of them .*such as '.*part-003.tar'"):
        parts(tmp_path / "part-{000..004}.tar")


def test_labels_as_text_and_in_json(tmp_path):
    write(tmp_path / "text.tar", samples(0, 4, lambda number: NAMES[number % 2].encode() + b"\n"))
    assert load_defined(str(tmp_path / "text.tar"), image_size=8).parts["train"].class_names == [
        "cat",
        "dog",
    ]
    facts = samples(0, 4, lambda n: json.dumps({"kind": NAMES[n % 2], "n": n}).encode(), "json")
    write(tmp_path / "facts.tar", facts)
    found = load_defined(
        str(tmp_path / "facts.tar"), image_size=8, options={"target_key": "json.kind"}
    ).parts["train"]
    assert list(found.class_names) == ["cat", "dog"]
    assert found.labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match="no label .cls, only png, json: .*json.KEY"):
        parts(tmp_path / "facts.tar")
    with pytest.raises(DataError, match="no key 'label', only kind, n"):
        parts(tmp_path / "facts.tar", options={"target_key": "json.label"})


def test_faults_of_samples_are_named(tmp_path):
    two = samples(0, 4)
    two["0001.seg.png"] = two["0001.jpg"] = png(7)
    write(tmp_path / "two.tar", two)
    with pytest.raises(DataError, match="'two/0001' has 2 images.*input_key=ENDING"):
        parts(tmp_path / "two.tar")
    without = samples(0, 4)
    del without["0002.cls"]
    write(tmp_path / "without.tar", without)
    with pytest.raises(DataError, match="'without/0002' has no label .cls, only png"):
        parts(tmp_path / "without.tar")
    with pytest.raises(UnknownName, match="target_key"):
        parts(tmp_path / "two.tar", options={"target": "cls"})
    damaged = {**samples(0, 4), "0003.png": b"no image"}
    write(tmp_path / "damaged.tar", damaged)
    with pytest.raises(DataError, match="'damaged/0003' cannot be read .not an image"):
        parts(tmp_path / "damaged.tar")


def test_the_ending_of_the_images_may_be_named(tmp_path):
    two = {**samples(0, 4), **{f"{number:04d}.seg.png": png(50) for number in range(4)}}
    write(tmp_path / "two.tar", two)
    name = str(tmp_path / "two.tar")
    one, other = (
        load_defined(name, image_size=8, **how).parts["train"].pixels(1)
        for how in ({}, {"options": {"input_key": "seg.png"}})
    )
    assert (one != other).any()


def test_a_broken_shard_is_named(tmp_path):
    write(tmp_path / "train-0.tar", samples(0, 4))
    (tmp_path / "train-1.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match="train-1.tar' is not an uncompressed tar"):
        parts(tmp_path)


def test_a_tar_of_class_folders_is_no_shard(make_folder, layout, make_tar, tmp_path):
    folder = make_folder(*layout(count=10))
    assert parts(make_tar(folder)) == {"train": 20}
    # An archive that was left beside the folders changes nothing.
    (tmp_path / "photos.tar").rename(folder / "photos.tar")
    assert parts(folder) == {"train": 20}
