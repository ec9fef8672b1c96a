"""`rampart study table`."""

from pathlib import Path

from rampart.cli.study.place import Output, Place, read


def table(place: Path = Place, output: Path | None = Output) -> None:
    """Write the table of a study from the runs that are finished; train nothing.

    A row says how many of its runs are finished if some are missing.
    """
    from rampart.cli.console import console
    from rampart.experiments.study_cells import planned_runs
    from rampart.experiments.study_table import write_table

    study, folder, state = read(place, output)
    text = write_table(
        state.figures, planned_runs(study), folder, study.references, study.differences
    )
    console.print(text, soft_wrap=True)
    console.print(f"in {folder}: study.md, results.csv", soft_wrap=True)
