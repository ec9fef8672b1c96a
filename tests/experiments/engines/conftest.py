import pytest

from rampart.experiments.cells import Cell
from rampart.recipes.config.loading import load_config


@pytest.fixture
def some_cells(tiny_settings, tmp_path):
    """Three runs that differ in their seed."""

    def cell(seed):
        config = load_config(overrides=[*tiny_settings, f"seed={seed}"])
        return Cell({"task": "photos"}, "fix", config, tmp_path / "runs" / f"seed-{seed}")

    return [cell(seed) for seed in range(3)]
