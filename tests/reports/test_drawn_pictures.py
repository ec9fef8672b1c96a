"""Figures as files, and their titles."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rampart.reports.pictures import set_headline, styled
from rampart.reports.style import LOOK

SPREAD = "(mean over the seeds, 95 % interval, or range of two seeds)"


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("Accuracy under attack", 1),
        (f"Accuracy at every strength, trained at 4/255 {SPREAD}", 2),
        (f"{'caltech-101-with-many-classes ' * 4}over the epochs {SPREAD}", 4),
        ("x" * 200, 3),
    ],
)
@pytest.mark.parametrize("size", [(6.4, 2.5), (13.0, 2.5)])
def test_a_title_fits_into_its_figure_and_stands_above_the_axes(title, lines, size):
    with styled(LOOK):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        set_headline(figure, title)
        FigureCanvasAgg(figure).draw()
    (text,) = figure.texts
    box = text.get_window_extent()
    assert text.get_text().count("\n") < lines
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert axes.get_tightbbox().y1 <= box.y0 < box.y1 <= figure.bbox.y1
