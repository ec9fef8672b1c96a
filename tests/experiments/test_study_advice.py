"""A run inside a study is given advice that holds there."""

from pathlib import Path

import pytest

from rampart.experiments.study_advice import in_study

FOLDER = Path("study/runs/photos/fix/seed-0-ab")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            f"{FOLDER} was started with another configuration (seed 1 instead of 0): run `rampart "
            f"train --output {FOLDER} --resume` to resume with its own settings, or choose another "
            "--output.",
            f"{FOLDER} was started with another configuration (seed 1 instead of 0): delete "
            f"{FOLDER}.",
        ),
        (
            "the initial weights have changed (another file, or another version of timm): restore "
            "them, or train a new run in another --output.",
            "the initial weights have changed (another file, or another version of timm): restore "
            f"them, or delete {FOLDER}.",
        ),
        (
            f"{FOLDER} holds a finished evaluation of other data: --overwrite replaces it, "
            "--output chooses another folder.",
            f"{FOLDER} holds a finished evaluation of other data: delete {FOLDER}.",
        ),
        (
            "a.jsonl is damaged: restart with --overwrite.",
            f"a.jsonl is damaged: delete {FOLDER}.",
        ),
        (
            "it may not be written: fix the permissions, then continue with --resume.",
            f"it may not be written: fix the permissions, or delete {FOLDER}.",
        ),
        (
            "data.name=x is part of the run, which --overwrite deletes: choose another folder with "
            "--output.",
            f"data.name=x is part of the run: delete {FOLDER}.",
        ),
        ("eps=4 lies outside [0, 1]: write 4/255.", "eps=4 lies outside [0, 1]: write 4/255."),
        ("no space is left on the disk", "no space is left on the disk"),
    ],
)
def test_advice_about_options_becomes_advice_about_the_folder(message, said):
    assert in_study(message, FOLDER) == said
