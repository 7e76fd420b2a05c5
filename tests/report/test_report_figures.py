import pytest

from lit_metanas.report import tables
from lit_metanas.report.figures.costs import draw_costs, draw_curves, side_by_side


def names(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def points(axes) -> list[tuple[float, float]]:
    return [tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]


def ticks(axes) -> list[str]:
    """The labels of the lower axis that are within it."""
    low, high = axes.get_xlim()
    return [
        tick.label1.get_text()
        for tick, place in zip(axes.xaxis.get_major_ticks(), axes.get_xticks(), strict=True)
        if low <= place <= high
    ]


def test_costs_show_each_method_at_its_place(many):
    figure = draw_costs(tables(many))
    figure.canvas.draw()
    assert len(figure.axes) == 2
    axes = figure.axes[1]
    assert (pytest.approx(4e11), pytest.approx(74 - 5)) in points(axes)  # DARTS
    assert len(points(axes)) == 4
    assert axes.get_xlabel() == "training FLOPs to search one task"
    assert axes.get_ylabel() == "accuracy, %"
    assert {"10 G", "100 G"} <= set(ticks(axes))
    assert "no search" in {text.get_text() for text in axes.texts}
    assert names(axes) == ["Conv-4", "DARTS from scratch", "random per task", "meta-searched, adapted"]


def test_points_of_equal_cost_are_side_by_side(make):
    rows = [make(f"method {i}", values=[0.5, 0.6], search=10**10) for i in range(8)]
    (axes,) = draw_costs(tables(rows)).axes
    assert len({x for x, _ in points(axes)}) == 8
    assert side_by_side([3.0, 1.0, 1.0, 1.1], 2) == [8.0, 1.0, 2.0, 4.0]


def test_curves_mark_saturation(many):
    (axes,) = draw_curves(many).axes
    assert axes.get_title(loc="left") == "Target tasks: 10-way 100-shot"
    assert "DARTS from scratch (ring at 384 G)" in names(axes)  # 96 % of 400 G lies 0.4 points below the end
    assert "ring: within half a point of the end" in {text.get_text() for text in axes.texts}
    assert axes.get_ylabel() == "best validation score so far, %"
