from dataclasses import replace

import pytest

from lit_metanas.records import Cost, Protocol, Trial
from lit_metanas.report import tables
from lit_metanas.report.figures.costs import draw_costs, draw_curves, side_by_side
from lit_metanas.report.figures.fronts import draw_fronts
from lit_metanas.spaces import Architecture

TARGET = Protocol("target", 10, 100, "running")


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


@pytest.mark.parametrize("scores", [(1200.0, 1500.0), (-0.2, 0.4)])
def test_scores_that_are_no_shares_are_within_the_axes(make, scores):
    curve = list(zip((1e9, 4e9), scores, strict=True))
    trial = Trial(Architecture({"kernel": "3"}), scores[0], Cost(), measures={"parameters": 1000.0})
    front = (trial, replace(trial, value=scores[1], measures={"parameters": 2000.0}))
    made = [
        replace(make(method, value=value, task="a", protocol=TARGET, search=5 * 10**9, curve=curve), front=front)
        for method, value in zip("ab", scores, strict=True)
    ]
    for drawn in (draw_curves(made), draw_fronts(made), draw_costs(tables(made))):
        low, high = drawn.axes[0].get_ylim()
        assert low < 100 * min(scores) < 100 * max(scores) < high


def test_each_metric_and_account_has_a_panel_of_its_own(make, many, looked_up):
    rows = [
        replace(make("a", value=0.4, task="t", protocol=TARGET, curve=[(1e9, 0.2), (4e9, 0.4)]), metric=metric)
        for metric in ("word accuracy", "chrF")
    ]
    assert len({axes.get_title(loc="left") for axes in draw_curves(rows).axes}) == len(tables(rows)) == 2
    curves = draw_curves([*many, *looked_up]).axes
    below = ["training FLOPs spent on searching one task", "queries spent on searching one task"]
    assert [axes.get_xlabel() for axes in curves] == below
    assert "evolution (ring at 40)" in names(curves[1])
    costs = draw_costs(tables([*many, *looked_up])).axes
    assert [axes.get_xlabel() for axes in costs[1:]] == [
        "training FLOPs to search one task",
        "queries to search one task",
    ]
    assert [x for x, _ in points(costs[2])] == [100, 40]


def test_a_method_has_one_colour_in_all_figures(make):
    def row(method, protocol, search):
        return replace(make(method, value=0.5, search=search, curve=[(search, 0.5)], task="t"), protocol=protocol)

    episodes = Protocol("episodes", 5, 1, "support")
    rows = [row("a", episodes, 10), row("b", TARGET, 10), row("c", episodes, 100), row("b", episodes, 1000)]

    def colours(figure):
        texts = [text for axes in figure.axes for text in axes.get_legend().get_texts()]
        return {text.get_text().split(" (")[0]: text.get_color() for text in texts}

    assert len(set(colours(draw_costs(tables(rows))).values())) == 3
    assert colours(draw_costs(tables(rows))) == colours(draw_curves(rows))
