"""The local hub answers the hub's own client as the hub does."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from rampart.hub_access import hub_access


def test_files_come_from_the_revision_that_is_asked_for(local_hub, tmp_path):
    old = local_hub.add("someone/model", {"a.txt": b"old", "sub/b.txt": b"b"})
    new = local_hub.add("someone/model", {"a.txt": b"new"})
    assert HfApi().model_info("someone/model").sha == new != old

    def read(**how):
        return Path(hf_hub_download("someone/model", "a.txt", **how)).read_bytes()

    assert read() == b"new"
    assert read(revision=old) == b"old"
    assert local_hub.downloads() == ["a.txt", "a.txt"]
    assert read() == b"new"
    assert len(local_hub.downloads()) == 2, "cached"
    folder = snapshot_download("someone/model", revision=old, local_dir=tmp_path / "all")
    assert (tmp_path / "all" / "sub" / "b.txt").read_bytes() == b"b", folder


def test_a_broken_transfer_is_resumed(local_hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 64)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    data = bytes(range(256)) * 4
    local_hub.add("someone/model", {"weights.bin": data})
    local_hub.breaks["weights.bin"] = 600
    assert Path(hf_hub_download("someone/model", "weights.bin")).read_bytes() == data
    whole, rest = [one for one in local_hub.requests if "GET" in one and "weights" in one]
    assert "from" not in whole
    assert rest.endswith(" from 576"), "whole chunks are kept"


def test_missing_things_have_the_errors_of_the_hub(local_hub):
    local_hub.add("someone/model", {"a.txt": b"a"})
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("someone/model", "b.txt")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download("someone/model", "a.txt", revision="v9")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("someone/else", "a.txt")


def test_a_gated_repository_opens_with_the_token(local_hub):
    local_hub.add("someone/secret", {"a.txt": b"a"}, gated=True)
    with pytest.raises(GatedRepoError):
        hf_hub_download("someone/secret", "a.txt", token=False)
    with pytest.raises(GatedRepoError):
        hf_hub_download("someone/secret", "a.txt", token="hf_other")
    assert hf_hub_download("someone/secret", "a.txt", token=local_hub.token)


def test_files_of_the_cache_are_there_after_the_hub_has_gone(local_hub):
    local_hub.add("someone/model", {"a.txt": b"a", "b.txt": b"b"})
    hf_hub_download("someone/model", "a.txt")
    local_hub.close()
    with hub_access():
        assert hf_hub_download("someone/model", "a.txt")
        with pytest.raises(LocalEntryNotFoundError):
            hf_hub_download("someone/model", "b.txt")


def test_a_folder_is_published(local_hub, tmp_path):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "sub" / "config.json").write_text("{}")
    api = HfApi(token=local_hub.token)
    api.create_repo("tester/published")
    api.upload_folder(repo_id="tester/published", folder_path=tmp_path / "model")
    assert local_hub.files("tester/published") == {"sub/config.json": b"{}"}


def test_uploads_are_refused_as_by_the_hub(local_hub):
    api = HfApi(token=local_hub.token)
    api.create_repo("tester/own", private=True)
    assert api.model_info("tester/own").private
    for name, status in (("tester/own", 409), ("someone/else", 403)):
        with pytest.raises(HfHubHTTPError) as error:
            api.create_repo(name)
        assert error.value.response.status_code == status
    local_hub.add("someone/else", {"a.txt": b"a"})
    with pytest.raises(HfHubHTTPError):
        api.upload_file(path_or_fileobj=b"b", path_in_repo="a.txt", repo_id="someone/else")
    with pytest.raises(ValueError, match="license"):
        ModelCard("---\nlicense: none\n---\n").validate()
