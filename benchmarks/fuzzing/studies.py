"""Damaged files of a search, which studies read, and of the folder of a study."""

from contextlib import chdir
from pathlib import Path

import yaml

from benchmarks.fuzzing.cases import Kind
from benchmarks.fuzzing.copies import agreeing, damaged_copies, printed
from benchmarks.fuzzing.finished import files_in
from benchmarks.fuzzing.material import SMALL, Material
from rampart.experiments.loading import load_study
from rampart.experiments.study_folder import keep_file
from rampart.experiments.tuning.outcome import write_outcome
from rampart.experiments.tuning.trials import Report, Search, Trial
from rampart.recipes.config.loading import dump_config, load_config
from rampart.runs.history import History


def study_kinds(material: Material) -> dict[str, Kind]:
    """Return a kind for each file that a study reads: of a search, and of its own folder."""
    root = material.root / "studies"
    search, study, file = root / "search", root / "study", root / "study.yaml"
    _write_search(search, material.photos)
    config = dump_config(load_config(search / "tuned.yaml"))
    content = {
        "base": {key: value for key, value in config.items() if key != "seed"},
        "seeds": [0],
        "axes": {"task": {"photos": [f"data.name={material.photos}"]}},
        "methods": {"fix": ["schedule=fix"]},
        "searches": [{"folder": "search", "where": {"method": ["fix"]}}],
    }
    file.write_text(yaml.safe_dump(content))
    with chdir(root):
        keep_file(load_study(file), file, study)
    read = [Path(name) for name in ("search.json", "spent.json", "tuned.yaml")]
    return {
        **damaged_copies(search, read, agreeing(search, printed, "study", "plan", str(file))),
        **damaged_copies(
            study, files_in(study), agreeing(study, printed, "study", "plan", "study/study.yaml")
        ),
    }


def _write_search(folder: Path, photos: Path) -> None:
    """Write a search of two trials that nobody trained, as `rampart tune` writes it."""
    settings = [f"{key}={value}" for key, value in SMALL.items()]
    search = Search(load_config(overrides=[*settings, f"data.name={photos}"]), folder)
    search.open()
    for number in (1, 2):
        trial = Trial(number, search.space.draw(search.config.seed, number), "complete")
        search.save(trial)
        history = History(search.run(trial.name).history)
        history.path.parent.mkdir(parents=True)
        row = {"epoch": 1, "val_clean": number / 3, "seconds": 2.0}
        history.append({**row, "forwards": 400, "backwards": 100})
        search.add_report(Report(trial.name, 1, number / 3, 60.0 * number))
    write_outcome(search)
