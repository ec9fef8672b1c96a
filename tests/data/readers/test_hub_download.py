"""Datasets by name from a hub: cached, pinned, resumed, without the hub, missing, gated."""

import pytest
from huggingface_hub import constants

from hub_files import files, parquet
from rampart.data.datasets import load_defined
from rampart.errors import DataError

pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

NAME = "hfds/someone/things"


@pytest.fixture
def things(local_hub):
    """A dataset with two commits: the hashes of both."""
    old = local_hub.add("someone/things", files(train=5, test=2), "datasets")
    return old, local_hub.add("someone/things", files(train=6, test=3), "datasets")


def sizes(name=NAME, **how):
    found = load_defined(name, image_size=8, **how)
    assert next(iter(found.parts.values())).pixels(0).shape == (3, 8, 8)
    return {split: len(part) for split, part in found.parts.items()}, " ".join(found.notes)


def test_the_newest_revision_is_read_and_named_and_cached(local_hub, things):
    found, notes = sizes()
    assert found == {"train": 12, "test": 6}
    assert f"data.options.revision={things[1]}" in notes
    before = len(local_hub.downloads())
    assert sizes()[0] == found
    assert len(local_hub.downloads()) == before == 2


@pytest.mark.parametrize("first", [0, 1])
def test_a_pinned_revision_is_read_with_and_without_the_hub(local_hub, things, first, tmp_path):
    expected = [{"train": 10, "test": 4}, {"train": 12, "test": 6}]
    order = [things[first], things[1 - first]]
    wanted = [expected[first], expected[1 - first]]

    def found():
        root = str(tmp_path / "files")
        return [sizes(root=root, options={"revision": one})[0] for one in order]

    assert found() == wanted
    local_hub.close()
    assert found() == wanted
    with pytest.raises(DataError, match="cannot be reached .*does not hold"):
        sizes(options={"revision": "0" * 40})


def test_without_the_hub_the_cache_is_read(local_hub, things):
    online, _ = sizes()
    local_hub.close()
    assert sizes()[0] == online
    with pytest.raises(DataError, match="someone/other.*cannot be reached .*connect once"):
        sizes("hfds/someone/other")


def test_a_broken_transfer_is_resumed(local_hub, things, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 512)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    local_hub.breaks["data/train-00000-of-00001.parquet"] = 1500
    assert sizes()[0] == {"train": 12, "test": 6}
    assert [
        one for one in local_hub.requests if one.endswith("train-00000-of-00001.parquet from 1024")
    ]


def test_missing_and_gated_datasets_and_revisions_are_refused(local_hub, things, monkeypatch):
    local_hub.add("someone/gated", files(train=5, test=2), "datasets", gated=True)
    for name, options, says in (
        ("hfds/someone/missing", {}, "check the name at http.*/datasets/someone/missing"),
        ("hfds/someone/gated", {}, "accept its terms at http.*/datasets/someone/gated.*HF_TOKEN"),
        (NAME, {"revision": "v9"}, "'v9' doesn't exist.*without data.options.revision"),
    ):
        with pytest.raises(DataError, match=says):
            sizes(name, options=options)
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    assert sizes("hfds/someone/gated")[0] == {"train": 10, "test": 4}


def test_a_dataset_with_a_script_is_read_from_the_conversion_of_the_hub(local_hub):
    local_hub.add("someone/old", {"old.py": b"import datasets", "README.md": b"# Old"}, "datasets")
    converted = {
        f"{size}/{split}/0000.parquet": parquet(count)
        for size, count in (("small", 3), ("large", 4))
        for split in ("train", "validation")
    }
    local_hub.add("someone/old", converted, "datasets", ref="refs/convert/parquet")
    with pytest.raises(DataError, match="data.options.revision=refs/convert/parquet"):
        sizes("hfds/someone/old")
    options = {"revision": "refs/convert/parquet", "data_dir": "large"}
    assert sizes("hfds/someone/old", options=options)[0] == {"train": 8, "validation": 8}
    local_hub.close()
    assert sizes("hfds/someone/old", options=options)[0] == {"train": 8, "validation": 8}


def test_one_of_several_configurations(local_hub):
    card = "configs:\n" + "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/train-*\n"
        for name in ("full", "tiny")
    )
    content = {
        "README.md": f"---\n{card}---\n".encode(),
        "full/train-0.parquet": parquet(9),
        "tiny/train-0.parquet": parquet(4),
    }
    revision = local_hub.add("someone/two", content, "datasets")
    with pytest.raises(DataError, match="cannot be loaded .*data.options.config=full"):
        sizes("hfds/someone/two")
    with pytest.raises(DataError, match="configurations full, tiny"):
        sizes("hfds/someone/two", options={"config": "huge"})
    options = {"revision": revision, "config": "tiny"}
    assert sizes("hfds/someone/two", options=options)[0] == {"train": 8}
    assert local_hub.downloads() == ["README.md", "train-0.parquet"]
    local_hub.close()
    assert sizes("hfds/someone/two", options=options)[0] == {"train": 8}
