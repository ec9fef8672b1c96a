"""What decoded images may take of the memory, and how many cores decode them."""

from types import SimpleNamespace

import pytest

from rampart.data import memory


@pytest.fixture
def free(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(
        memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * 2**30)
    )
    monkeypatch.setattr(memory, "_LIMITS", ())


def test_images_may_take_a_quarter_of_the_free_memory(free):
    assert memory.cache_limit() == 2 * 2**30


def test_the_processes_of_a_run_share_memory_and_cores(free, monkeypatch):
    cores = memory.cores_here()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.cache_limit() == 2**29
    assert memory.cores_here() == max(1, cores // 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert memory.cores_here() == 1


@pytest.mark.parametrize(("most", "left"), [("1000", 400), ("max", 8 * 2**30), ("100", 0)])
def test_a_container_has_less_than_its_machine(free, tmp_path, monkeypatch, most, left):
    files = tmp_path / "max", tmp_path / "current"
    for file, text in zip(files, (most, "600"), strict=True):
        file.write_text(text + "\n")
    absent = (tmp_path / "none", tmp_path / "none")
    monkeypatch.setattr(memory, "_LIMITS", (files, absent))
    assert memory.memory_at_hand() == left
