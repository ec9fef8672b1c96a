import pytest

from rampart.experiments.tuning.trials import Search
from rampart.recipes.config.loading import load_config


@pytest.fixture
def tuned_config(tiny_settings):
    return load_config(overrides=[*tiny_settings, "attack.steps=1"])


@pytest.fixture
def search(tuned_config, tmp_path):
    """A search over a run of 3 epochs."""
    return Search(tuned_config, tmp_path / "search")


@pytest.fixture
def write_epochs():
    """Write the history of a trial as its run would."""

    def write(search, trial, values, column="val_clean"):
        folder = search.run(trial.name)
        folder.path.mkdir(parents=True, exist_ok=True)
        for epoch, value in enumerate(values, 1):
            row = {"epoch": epoch, column: value, "forwards": 30, "backwards": 10, "seconds": 2.0}
            History(folder.history).append(row)

    from rampart.runs.history import History

    return write
