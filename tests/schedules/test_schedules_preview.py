import pytest

from rampart.errors import InvalidArgument
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import Linear, TwoHinge
from rampart.schedules.preview import assumed_accuracy, preview
from rampart.units import Horizon

PUBLISHED = TwoHinge.at_epochs(12, 37)


def published(epoch):
    return 0 if epoch < 12 else 1 if epoch >= 37 else (epoch - 12) / 25


def test_preview_per_step_gives_a_row_per_step():
    rows = preview(Linear(), 1, Horizon(2, 4))
    assert [row.epoch for row in rows] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert [row.alpha for row in rows] == [k / 8 for k in range(8)]


def test_preview_per_epoch_gives_the_published_table():
    rows = preview(PUBLISHED, 4 / 255, Horizon(50, 100), "epoch")
    assert [(row.epoch, row.alpha) for row in rows] == [(k, published(k)) for k in range(50)]
    assert rows[-1].eps == 4 / 255


def test_preview_gives_auto_the_accuracies():
    rows = preview(Auto(patience=1), 1, Horizon(4, 1), accuracy=[0.5, 0.5, 0.5, 0.5])
    assert [row.alpha for row in rows] == [0, 0, 0, 0.5]
    assert {row.alpha for row in preview(Auto(), 1, Horizon(15, 1))} == {0}
    assert preview(Auto(), 1, Horizon(50, 1))[-1].alpha > 0.9


def test_preview_needs_an_accuracy_for_every_epoch():
    with pytest.raises(InvalidArgument, match="accuracy=2 values"):
        preview(Auto(), 1, Horizon(3, 1), accuracy=[0.1, 0.2])


def test_the_assumed_accuracy_reaches_90_percent_at_epoch_11():
    curve = assumed_accuracy(50)
    assert curve[10] == pytest.approx(0.9 * curve[-1], abs=0.005)
    assert curve == sorted(curve)
