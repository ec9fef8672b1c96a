"""Damaged files of a training and of an evaluation that were killed: resuming never uses them."""

from benchmarks.fuzzing.cases import Kind
from benchmarks.fuzzing.copies import agreeing, damaged_copies
from benchmarks.fuzzing.finished import files_in
from benchmarks.fuzzing.material import Material, train_words
from benchmarks.stressing.changes import Death
from benchmarks.stressing.processes import Kill, carry_out
from benchmarks.stressing.scenarios import Scenario

#: Most kinds of state that a checkpoint holds.
_MORE = {
    "training.epochs": "2",
    "training.checkpoint": "best",
    "training.monitors": "false",
    "callbacks": "[{name: ema, decay: 0.5}]",
}


def unfinished_kinds(material: Material) -> dict[str, Kind]:
    """Return a kind for every file of both; a resumed command has to end as an undamaged one."""
    train = (*train_words(material.photos, _MORE), "--no-evaluate", "-o", "training")
    evaluate = (
        *("evaluate", str(material.run), "threat.eps=16/255", "evaluation.rerun=2"),
        *("evaluation.checks=false", "-o", "evaluation"),
    )
    return {
        # The second row of the history comes after the first checkpoint.
        **_kinds(
            material,
            Scenario("training", train, "training"),
            Death("open history.jsonl", 2),
            ("train", "--output", "training", "--resume", "--no-evaluate"),
        ),
        **_kinds(
            material,
            Scenario("evaluation", evaluate, "evaluation"),
            Death("open samples.parquet (scratch)", 1),
            evaluate,
        ),
    }


def _kinds(
    material: Material, scenario: Scenario, death: Death, resume: tuple[str, ...]
) -> dict[str, Kind]:
    """Return a kind for every file of a command that dies at a change.

    Args:
        material: takes the folder.
        scenario: the command.
        death: where it dies.
        resume: words of the command that resumes it.
    """
    end = carry_out(scenario, material.root, Kill(death=death))
    if not end.killed:
        raise SystemExit(f"the {scenario.name} that is to be resumed was not killed: {end}")
    folder = material.root / scenario.output
    # Parts of an evaluation have random names, by which a repetition would choose others.
    for number, part in enumerate(sorted(folder.rglob("parts/*.parquet"))):
        part.rename(f"{part.parent}/{part.name[:-20]}{number:012x}.parquet")
    return damaged_copies(
        folder,
        files_in(folder),
        agreeing(folder, lambda place, outcome: scenario.results(place), *resume),
    )
