"""Figures that others published: reference points for a study, a search and an evaluation.

The files and their sources stand in `rampart/assets/published/`. Names are those of Rampart where
it has one (`aircraft`, `two-hinge`, `swin`), accuracies are fractions, and strengths are fractions
of the pixel range.
"""

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from rampart.units import Norm

#: Strengths in gray levels, one apart, are 1/255 of the pixel range.
_LEVELS = 255
#: Strengths of the benchmark's figures, on images of `BENCHMARK_SIDE` x `BENCHMARK_SIDE` pixels.
BENCHMARK_STRENGTHS: Mapping[Norm, float] = {"linf": 4 / 255, "l2": 2.0, "l1": 75.0}
BENCHMARK_SIDE = 224


class Source(NamedTuple):
    """Where a file of published figures comes from.

    Attributes:
        file: its name in `rampart/assets/published/`.
        authors, title, venue, arxiv: of the publication.
        content: of the file.
    """

    file: str
    authors: str
    title: str
    venue: str
    arxiv: str
    content: str


class PublishedResult(NamedTuple):
    """One row of a table of the publication (arXiv 2509.23325).

    Attributes:
        table: number of the table.
        backbone, dataset: short names.
        eps: target strength in Linf.
        schedule: name of the schedule.
        start, end: T1 and T2 of a two-hinge schedule in epochs of 50; None if the table does not
            state them, and for other schedules.
        attack: "apgd_ce_10" (APGD on the cross-entropy, 10 steps) or "autoattack".
        clean, adversarial, expected: accuracy without an attack, at eps, and its mean over
            [0, eps].
    """

    table: int
    backbone: str
    dataset: str
    eps: float
    schedule: str
    start: int | None
    end: int | None
    attack: str
    clean: float
    adversarial: float
    expected: float


class BenchmarkResult(NamedTuple):
    """One run of the benchmark (arXiv 2508.14079); all were trained at Linf 4/255.

    Attributes:
        backbone, dataset: short names where Rampart has one, else those of the benchmark.
        objective: "adversarial", or "trades" with beta = 1.
        fine_tuning: "FFT (50 epochs)", "FFT (5 epochs)" or "LP (50 epochs)": full fine-tuning, or a
            linear probe.
        clean: accuracy without an attack.
        linf, l2, l1: AutoAttack's accuracy, standard version, at Linf 4/255, L2 2.0 and L1 75.
        corruptions: accuracy under common corruptions of severity 3.
    """

    backbone: str
    dataset: str
    objective: str
    fine_tuning: str
    clean: float
    linf: float
    l2: float
    l1: float
    corruptions: float


class TunedSettings(NamedTuple):
    """Learning rates and weight decays that the benchmark's search found at Linf 4/255.

    Attributes:
        backbone, dataset: short names where Rampart has one.
        objective: "adversarial" or "trades".
        backbone_lr, head_lr, backbone_weight_decay, head_weight_decay: of AdamW.
        cosine: whether the learning rate falls along a cosine; else it is constant.
        epochs: of full fine-tuning.
        attack_steps: in training.
        eps: strength in training.
        trials: finished trials of the search.
    """

    backbone: str
    dataset: str
    objective: str
    backbone_lr: float
    head_lr: float
    backbone_weight_decay: float
    head_weight_decay: float
    cosine: bool
    epochs: int
    attack_steps: int
    eps: float
    trials: int


@cache
def sources() -> Mapping[str, Source]:
    """Return the sources of the figures: "results", "benchmark" and "tuned"."""
    facts = _facts()
    return {name: Source(**facts[name]) for name in facts if name != "names"}


def short_name(kind: Literal["backbone", "dataset", "schedule"], name: str) -> str:
    """Return the short name of what they, timm or the catalogue call `name`; else `name` itself."""
    return _names(kind).get(name, name)


@cache
def published_results() -> tuple[PublishedResult, ...]:
    """Return the rows of tables 1 to 4, 6 to 8 and 12 of the publication."""
    return tuple(
        PublishedResult(
            table=int(row["table"]),
            backbone=row["backbone"],
            dataset=row["dataset"],
            eps=int(row["eps_255"]) / _LEVELS,
            schedule=short_name("schedule", row["schedule"]),
            start=_whole(row["t1_epoch"]),
            end=_whole(row["t2_epoch"]),
            attack=row["attack"],
            **_fractions(row, clean="clean", adversarial="adversarial", expected="expected"),
        )
        for row in _rows("results")
    )


@cache
def benchmark_results() -> tuple[BenchmarkResult, ...]:
    """Return the runs of the benchmark."""
    objectives = {"Classic AT": "adversarial", "TRADES": "trades"}
    return tuple(
        BenchmarkResult(
            backbone=short_name("backbone", row["backbone"]),
            dataset=short_name("dataset", row["dataset"]),
            objective=objectives[row["objective"]],
            fine_tuning=row["fine_tuning"],
            **_fractions(
                row,
                clean="clean",
                linf="autoattack_linf_4",
                l2="autoattack_l2_2",
                l1="autoattack_l1_75",
                corruptions="common_corruptions_3",
            ),
        )
        for row in _rows("benchmark")
    )


@cache
def tuned_settings() -> tuple[TunedSettings, ...]:
    """Return the tuned settings of the benchmark: six backbones, six datasets, two objectives."""
    objectives = {"CLASSIC_AT": "adversarial", "TRADES_v2": "trades"}
    return tuple(
        TunedSettings(
            backbone=row["backbone"],
            dataset=short_name("dataset", row["dataset"]),
            objective=objectives[row["objective"]],
            cosine=row["cosine_schedule"] == "True",
            eps=float(row["eps_255"]) / _LEVELS,
            **_numbers(row, float, "backbone_lr", "head_lr"),
            **_numbers(row, float, "backbone_weight_decay", "head_weight_decay"),
            **_numbers(row, int, "epochs", "attack_steps", "trials"),
        )
        for row in _rows("tuned")
    )


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(_text("sources.toml"))


def _text(name: str) -> str:
    return files("rampart.assets").joinpath("published", name).read_text(encoding="utf-8")


def _rows(name: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(_text(sources()[name].file)))


@cache
def _names(kind: str) -> Mapping[str, str]:
    return {name: ours for ours, names in _facts()["names"][kind].items() for name in names}


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _fractions(row: Mapping[str, str], **columns: str) -> dict[str, float]:
    return {name: float(row[column]) / 100 for name, column in columns.items()}


def _numbers(row: Mapping[str, str], kind: type[int] | type[float], *names: str) -> dict[str, Any]:
    return {name: kind(row[name]) for name in names}
