"""The files of a published run, by their paths in the folder or the repository.

README.md            the model card
config.json          the architecture, as timm reads it
model.safetensors    the weights
config.yaml          every setting of the training
history.jsonl        one row for each epoch
evaluations/NAME/    the record of each evaluation, and its curve
checksums.json       the checksums of all of them
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from rampart.checksums import KEEP, LISTING, MARK, read_checked, require_unchanged, with_checksum
from rampart.files import checksum
from rampart.models.own import MODULE
from rampart.recipes.config.loading import load_config
from rampart.recipes.publishing.card import model_card
from rampart.recipes.saved_model import read_description
from rampart.records.storage import load_record
from rampart.reports.card.write import Place
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder

CARD = "README.md"
#: Files by their paths: a file on the disk, or the text itself.
Files = Mapping[str, Path | str]


def files_of(run: RunFolder, place: Place, license: str) -> Files:
    """Return the files of a finished run as they are published.

    Raises:
        RampartError: a file of the run is damaged, missing or changed.
    """
    require_unchanged(run.model, KEEP)
    found: dict[str, Path | str] = {CARD: model_card(run, place, license)}
    found |= {name: run.model / name for name in ("config.json", "model.safetensors")}
    found |= {file.name: file for file in (run.config, run.history) if file.is_file()}
    for folder in run.finished_evaluations():
        # It may be damaged.
        load_record(folder.path)
        files = (folder.record, folder.samples, folder.curve, folder.summary, folder.picture)
        found |= {file.relative_to(run.path).as_posix(): file for file in files if file.is_file()}
    found[LISTING] = _listing(found)
    return found


def notes_on(run: RunFolder) -> Iterator[str]:
    """Yield sentences on what a reader of the files will miss, or learn of this machine."""
    described, config = read_description(run), load_config(run)
    evaluations = run.finished_evaluations()
    if not evaluations:
        yield (
            f"the run is not evaluated, and its card says so: `rampart evaluate {run.path}` "
            "measures it"
        )
    if MODULE in described:
        yield (
            f"timm cannot load it, because its architecture is the Python class "
            f"{described[MODULE]}: publish the code of the class too"
        )
    for folder in evaluations:
        if _holds_images(folder):
            yield (
                f"{folder.path.name}/samples.parquet holds adversarial examples, which show the "
                "images of the data"
            )
    place = next((one for one in (config.data.name, config.data.root) if one.startswith("/")), "")
    if place:
        yield (
            f"config.yaml and the records hold paths of this machine, such as {place}, and the "
            "names of the images"
        )


def _holds_images(folder: EvaluationFolder) -> bool:
    return "adversarial_example" in read_checked(folder.record, KEEP)["columns"]


def _listing(found: Files) -> str:
    sums = {
        name: MARK + (checksum(one) if isinstance(one, Path) else sha256(one.encode()).hexdigest())
        for name, one in found.items()
    }
    return json.dumps(with_checksum(sums), indent=1) + "\n"
