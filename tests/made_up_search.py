"""The folder of a search whose trials nobody trained, written as `rampart tune` writes it."""

from rampart.experiments.tuning.outcome import write_outcome
from rampart.experiments.tuning.trials import Report, Search, Trial
from rampart.recipes.config.loading import load_config
from rampart.runs.history import History


def write_search(folder, overrides, *, runs=2, epochs=3, per_phase=False):
    """Write a search whose last run is the best; return the best values."""
    search = Search(load_config(overrides=overrides), folder, per_phase=per_phase)
    search.open()
    for number in range(1, runs + 1):
        trial = Trial(number, search.space.draw(search.config.seed, number), "complete")
        search.save(trial)
        history = History(search.run(trial.name).history)
        history.path.parent.mkdir(parents=True)
        for epoch in range(1, epochs + 1):
            value = number / (runs + 1)
            row = {"epoch": epoch, "val_clean": value, "seconds": 2.0}
            history.append({**row, "forwards": 4000, "backwards": 1000})
            search.add_report(Report(trial.name, epoch, value, 60.0 * number))
    return write_outcome(search).best.trial.settings
