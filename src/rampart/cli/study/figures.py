"""`rampart study figures`."""

from pathlib import Path

from rampart.cli.study.place import Output, Place, read, say_unfinished
from rampart.cli.study.published import Published, write_figures


def figures(place: Path = Place, output: Path | None = Output, published: bool = Published) -> None:
    """Draw the pictures of a study; train nothing.

    The pictures show the runs that are finished.
    """
    from rampart.cli.console import console
    from rampart.experiments.study_cells import planned_runs
    from rampart.experiments.study_table import draw_study

    study, folder, state = read(place, output)
    if published:
        write_figures(study, folder)
        return
    draw_study(state.figures, planned_runs(study), folder, study.references)
    console.say(f"in {folder}: study.png")
    say_unfinished(state.unfinished)
