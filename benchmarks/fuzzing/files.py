"""Damage to one file of a copy of a run, and the check that has to notice it."""

import shutil
from pathlib import Path
from random import Random

from benchmarks.fuzzing.configurations import damaged


def damage_file(random: Random, run: Path, folder: Path) -> tuple[list[str], str]:
    """Copy a run into `folder`, damage one of its files, and return the command that checks it.

    Returns:
        the words of `rampart verify`, and the path of the damaged file in the run.
    """
    copy = folder / "run"
    shutil.copytree(run, copy)
    files = sorted(one for one in copy.rglob("*") if one.is_file())
    file = random.choice([one for one in files if one.suffix != ".png" and one.name[0] != "."])
    content = file.read_bytes()
    changed = damaged(random, content)
    while changed == content:
        changed = damaged(random, content)
    file.write_bytes(changed)
    return ["verify", "run"], str(file.relative_to(copy))
