"""Check training labels: likely wrong ones are listed with their pictures, and none changes."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from torch import Tensor

from rampart.checksums import LISTING, list_checksums
from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.evaluation.held_out import held_out_probabilities
from rampart.evaluation.label_check import LabelCheck, find_suspects, require_cleanlab
from rampart.files import require_output_folder, write_atomic, writing_folder
from rampart.models.normalized import NormalizedModel
from rampart.recipes.accelerator import make_accelerator, require_one_process
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.gallery import picture_of
from rampart.recipes.guidance import train_features
from rampart.recipes.initial_model import make_model
from rampart.recipes.splits import make_splits
from rampart.reports.csv_rows import csv_text
from rampart.reports.page.labels import label_page
from rampart.reports.page.write import write_built_page
from rampart.runs.lock import only_writer
from rampart.runs.run_folder import RunFolder

#: Names of the files of a check.
TABLE, PAGE = "labels.csv", "labels.html"


def check_labels(config: RunConfig, output: Path, *, overwrite: bool = False) -> LabelCheck:
    """Check the labels of the configured training images; write a table and a page.

    Args:
        config: names the data and the pretrained backbone; nothing is trained but linear heads.
        output: folder of the two files.
        overwrite: replace the files of an earlier check there.

    Raises:
        MissingExtra: cleanlab is not installed.
        InvalidArgument: several processes were started.
        RunError: the folder holds a check already, is being written by another process, or cannot
            be written.
        RampartError: the configuration, the data or the model is invalid.
    """
    require_cleanlab()
    require_one_process(config, make_accelerator(config), checks_labels=True)
    require_output_folder(output)
    with only_writer(output):
        if not overwrite and any((output / name).exists() for name in (TABLE, PAGE)):
            raise RunError(
                f"{output} holds a check of labels: --overwrite replaces it, --output chooses "
                "another folder."
            )
        splits = make_splits(config)
        checked = _check(config, splits, make_model(config, splits))
        write_label_check(checked, splits, output)
    return checked


def checked_labels(
    config: RunConfig,
    splits: Splits,
    network: NormalizedModel | None = None,
    resumed: RunFolder | None = None,
    held_out: Tensor | None = None,
) -> tuple[LabelCheck | None, int]:
    """Return the check that a run asks for by `data.labels=check`, and the passes that it cost.

    Args:
        config: of the run.
        splits: of the run.
        network: the network of the run, in place of the configured backbone.
        resumed: the folder, if the run resumes.
        held_out: (N, K), the probabilities of the check, if the guidance has just computed them.

    Returns:
        None without a check, or if it is done; and a number of passes.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    done = resumed is not None and (resumed.labels / PAGE).is_file()
    if config.data.labels != "check" or done:
        return None, 0
    require_cleanlab()
    if held_out is not None:
        return _suspects(splits, held_out), 0
    model = make_model(config, splits) if network is None else copy.deepcopy(network)
    return _check(config, splits, model), len(splits.train)


def write_label_check(checked: LabelCheck, splits: Splits, output: Path) -> None:
    """Write the table and the page of a check.

    Raises:
        RunError: they cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    rows = checked.rows()
    write_atomic(output / TABLE, csv_text(rows) if rows else "rank,image,label\n")
    pictures = _pictures(checked, splits)
    write_built_page(label_page(checked.summary(), rows, pictures), output / PAGE)


def keep_label_check(checked: LabelCheck, splits: Splits, folder: Path) -> None:
    """Write the check of a run as a whole: table, page and their checksums.

    Args:
        checked: the check.
        splits: the data with its images.
        folder: for the files; what a killed run left there is replaced.

    Raises:
        RunError: they cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with writing_folder(folder) as scratch:
        write_label_check(checked, splits, scratch)
        write_atomic(scratch / LISTING, list_checksums(scratch, [TABLE, PAGE]))


def _check(config: RunConfig, splits: Splits, model: NormalizedModel) -> LabelCheck:
    train = splits.train
    features = train_features(model.to(make_accelerator(config).device), train, config)
    classes = len(train.class_names)
    found = held_out_probabilities(features, train.labels, classes, config.data.seed)
    return _suspects(splits, found)


def _suspects(splits: Splits, held_out: Tensor) -> LabelCheck:
    train, probabilities = splits.train, held_out.double().numpy()
    suspects = find_suspects(train.labels, probabilities)
    return LabelCheck(
        train.ids, train.class_names, train.labels, probabilities, suspects, splits.true_labels
    )


def _pictures(checked: LabelCheck, splits: Splits) -> Iterator[Image.Image]:
    for place in checked.suspects.tolist():
        yield picture_of((splits.train.pixels(place).double() / 255).numpy())
