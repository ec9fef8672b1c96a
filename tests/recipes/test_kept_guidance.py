"""The guidance of a run is written once, and read as it was."""

import pytest
import torch

from rampart.errors import RunError
from rampart.recipes.kept_guidance import FILE, keep_guidance, kept_guidance

GUIDANCE = torch.tensor([[0.9, 0.1], [0.25, 0.75], [0.0, 1.0]])


@pytest.fixture
def folder(tmp_path):
    keep_guidance(GUIDANCE, tmp_path / "guidance")
    return tmp_path / "guidance"


def test_it_is_read_as_it_was_written_first(folder):
    keep_guidance(GUIDANCE.flip(0), folder)
    assert torch.equal(kept_guidance(folder), GUIDANCE)
    assert torch.equal(kept_guidance(folder, GUIDANCE.clone()), GUIDANCE)
    assert kept_guidance(folder.with_name("none")) is None


def test_other_guidance_than_that_of_the_run_is_refused(folder):
    with pytest.raises(RunError, match="began with"):
        kept_guidance(folder, GUIDANCE.flip(0))


def test_damage_is_noticed(folder):
    content = bytearray((folder / FILE).read_bytes())
    content[-1] ^= 1
    (folder / FILE).write_bytes(bytes(content))
    with pytest.raises(RunError, match="checksum"):
        kept_guidance(folder)
    (folder / FILE).unlink()
    with pytest.raises(RunError, match="missing"):
        kept_guidance(folder)
