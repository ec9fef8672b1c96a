"""The picture and the table of criticality."""

import csv

from rampart.reports.criticality import draw_criticality, write_criticality


def rows(count):
    return [
        {"module": f"blocks.{k}.conv", "weights": 9, "increase": 1 / (k + 1), "accuracy_drop": 0.5}
        for k in range(count)
    ]


def test_the_chosen_layer_stands_out_and_the_network_runs_from_top_to_bottom():
    axes = draw_criticality(rows(4), "blocks.3.conv").axes[0]
    colors = [bar.get_facecolor() for bar in axes.patches]
    assert len(set(colors[:3])) == 1
    assert colors[3] not in colors[:3]
    assert axes.get_yticklabels()[0].get_text() == "blocks.0.conv"
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_of_many_layers_some_have_names():
    figure = draw_criticality(rows(200), "blocks.7.conv")
    assert len(figure.axes[0].patches) == 200
    assert len(figure.axes[0].get_yticks()) <= 60
    assert figure.get_figheight() < 20


def test_the_table_begins_with_the_least_critical_layer(tmp_path):
    write_criticality(rows(3), "blocks.2.conv", tmp_path / "new")
    with (tmp_path / "new" / "criticality.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["module"] for row in table] == ["blocks.2.conv", "blocks.1.conv", "blocks.0.conv"]
    assert [row["rank"] for row in table] == ["1", "2", "3"]
