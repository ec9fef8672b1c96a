"""The trackers of a run get its evaluations: figures, the curve as a table, and the pictures.

They are those of `training.trackers`. Only the methods that accelerate's trackers share are used:
`log`, and `log_table` and `log_images` where a tracker has them. A tracker that shows each process
as a run of its own, such as wandb, shows an evaluation so too.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rampart.errors import RampartWarning, reason
from rampart.recipes.accelerator import make_accelerator, preserve_accelerate_state
from rampart.recipes.evaluation.subject import Subject
from rampart.records.record import EvaluationRecord
from rampart.records.summary import summary
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.units import format_eps

#: (N, H, W, 3) uint8.
Pictures = NDArray[np.uint8]
#: The figures that are logged as numbers.
FIGURES = ("clean", "adversarial", "expected", "expected_low", "expected_high")
#: The pictures of one adversarial example, from left to right.
_KINDS = ("image", "difference", "adversarial")


def track_evaluation(subject: Subject, record: EvaluationRecord, folder: EvaluationFolder) -> None:
    """Log an evaluation in the folder of its run to the trackers of the run; call in one process.

    A tracker that fails is warned of: the record is written already.
    """
    run, config = subject.run, subject.config
    if run is None or folder.path.parent != run.evaluations or not config.training.trackers:
        return
    try:
        with preserve_accelerate_state():
            accelerator = make_accelerator(config, run.tracking)
            accelerator.init_trackers("rampart")
            for tracker in accelerator.trackers:
                _log(tracker, f"evaluation/{folder.path.name}", record, folder, _last_step(run))
                tracker.finish()
    except Exception as error:
        text = f"the trackers did not take the evaluation in {folder.path}: {reason(error)}."
        warnings.warn(text, RampartWarning, stacklevel=2)


def _log(
    tracker: Any, name: str, record: EvaluationRecord, folder: EvaluationFolder, step: int
) -> None:
    figures = summary(record)
    tracker.log({f"{name}/{key}": float(figures[key]) for key in FIGURES}, step=step)
    columns, rows = curve_table(figures["curve"])
    if hasattr(tracker, "log_table"):
        tracker.log_table(f"{name}/curve", columns=columns, data=rows, step=step)
    else:
        tracker.log({f"{name}/curve": _markdown(columns, rows)}, step=step)
    pictures = read_pictures(folder)
    if pictures and hasattr(tracker, "log_images"):
        _log_images(tracker, {f"{name}/{key}": some for key, some in pictures.items()}, step)


def _log_images(tracker: Any, pictures: Mapping[str, Pictures], step: int) -> None:
    if tracker.name == "tensorboard":
        # It would read the last axis as the width.
        tracker.log_images(pictures, step=step, dataformats="NHWC")
    else:
        tracker.log_images({key: list(some) for key, some in pictures.items()}, step=step)


def curve_table(curve: Sequence[Mapping[str, float]]) -> tuple[list[str], list[list[Any]]]:
    """Return the curve as the names of columns and rows."""
    most = max((one["eps"] for one in curve), default=0.0)
    rows = [
        [format_eps(one["eps"], most), one["accuracy"], one["low"], one["high"]] for one in curve
    ]
    return ["eps", "accuracy", "low", "high"], rows


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[one if isinstance(one, str) else f"{one:.4f}" for one in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read_pictures(folder: EvaluationFolder) -> dict[str, Pictures]:
    """Return the plot of the curve, and each adversarial example of the gallery beside its image.

    Pictures that are not there are left out.
    """
    found = {"plot": [_read(folder.picture)]} if folder.picture.is_file() else {}
    numbers = sorted(int(one.name.split("-")[0]) for one in folder.gallery.glob("*-image.png"))
    examples = [
        np.concatenate([_read(folder.gallery / f"{number}-{kind}.png") for kind in _KINDS], axis=1)
        for number in numbers
    ]
    if examples:
        found["adversarial examples"] = examples
    return {name: np.stack(some) for name, some in found.items()}


def _read(file: Path) -> Pictures:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def _last_step(run: RunFolder) -> int:
    rows = History(run.history).rows()
    return int(rows[-1]["step"]) if rows else 0
