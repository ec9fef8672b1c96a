"""The published figures that ship with the package."""

from collections import Counter

import pytest

from rampart.data.catalogue import catalogue
from rampart.models.catalogue import catalogue as catalogue_of_backbones
from rampart.published import (
    benchmark_results,
    published_results,
    short_name,
    sources,
    tuned_settings,
)
from rampart.schedules.catalogue import SCHEDULES

SIX = {"vit", "swin", "convnext", "resnet50", "clip_vit", "clip_convnext"}


def test_tables_have_all_their_rows():
    # Six backbones, five datasets, two schedules; four backbones with five pairs; and so on.
    counts = Counter(row.table for row in published_results())
    assert counts == {1: 60, 2: 60, 3: 40, 4: 10, 6: 8, 7: 30, 8: 15, 12: 8}


def test_names_are_those_of_rampart():
    rows = published_results()
    assert {row.dataset for row in rows} <= set(catalogue())
    assert {row.schedule for row in rows} <= set(SCHEDULES.names())
    assert {row.backbone for row in rows if row.table in (1, 2)} == SIX
    shared = {row.dataset for row in tuned_settings()} - {"uc-merced"}
    assert shared == {row.dataset for row in benchmark_results()} - {"uc-merced"}
    assert shared <= set(catalogue())
    assert {row.backbone for row in tuned_settings()} == SIX
    assert {row.backbone for row in benchmark_results()} >= SIX


def test_names_of_the_catalogue_and_of_timm_become_short_ones():
    backbones = catalogue_of_backbones()
    for one in SIX:
        assert short_name("backbone", backbones[one].timm) == short_name("backbone", one) == one
    robust = ("ares:vitb_at", "ares:swinb_at", "ares:convnextb_at", "ares:resnet50_at")
    assert set(robust) <= set(backbones)
    table = {row.backbone for row in published_results() if row.table == 3}
    assert {short_name("backbone", one) for one in robust} == table
    assert short_name("backbone", "dinov2") == "dinov2"


def test_units_are_fractions():
    rows = published_results()
    assert {row.eps for row in rows} == {4 / 255, 8 / 255}
    assert all(0 <= value <= 1 for row in rows for value in row[-3:])
    assert all(0 <= value <= 1 for row in benchmark_results() for value in row[-5:])
    assert {row.eps for row in tuned_settings()} == {4 / 255}


def test_accuracy_falls_with_the_strength():
    for row in published_results():
        assert row.adversarial <= row.expected <= row.clean or row.clean < 0.02


def test_the_benchmark_is_whole():
    rows = benchmark_results()
    assert len(rows) == 40 * 6 * 2 * 3 == len({row[:4] for row in rows})


def test_figures_that_the_texts_quote():
    # 12 pairs: six backbones, Aircraft and Cars.
    def mean(objective, figure):
        rows = [
            getattr(row, figure)
            for row in benchmark_results()
            if (row.objective, row.fine_tuning) == (objective, "FFT (50 epochs)")
            and row.backbone in SIX
            and row.dataset in ("aircraft", "cars")
        ]
        assert len(rows) == 12
        return sum(rows) / 12

    assert mean("adversarial", "clean") == pytest.approx(0.404, abs=5.1e-4)
    assert mean("adversarial", "linf") == pytest.approx(0.157, abs=5.1e-4)
    assert mean("trades", "clean") == pytest.approx(0.638, abs=5.1e-4)
    assert mean("trades", "linf") == pytest.approx(0.288, abs=5.1e-4)


def test_every_file_names_its_source():
    assert set(sources()) == {"results", "benchmark", "tuned"}
    assert sources()["results"].arxiv == "2509.23325"
    assert sources()["benchmark"].arxiv == sources()["tuned"].arxiv == "2508.14079"
