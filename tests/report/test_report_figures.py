"""The figures of a report: costs, curves, Pareto fronts, and what a search tried."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from lit_metanas.records import Cost, SearchRecord, Trial
from lit_metanas.report import tables, write_report
from lit_metanas.report.figures.costs import describe_rounds, draw_costs, draw_curves, draw_rounds, side_by_side
from lit_metanas.report.figures.fronts import draw_fronts, draw_tested
from lit_metanas.spaces import Architecture


def names(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def points(axes) -> list[tuple[float, float]]:
    return [tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]


def ticks(axes) -> list[str]:
    """The labels of the lower axis that are within it."""
    low, high = axes.get_xlim()
    placed = zip(axes.xaxis.get_major_ticks(), axes.get_xticks(), strict=True)
    return [tick.label1.get_text() for tick, place in placed if low <= place <= high]


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
    of_batches = replace(rows[0], protocol=replace(rows[0].protocol, batch_norm="running"))
    assert "method 0 (running)" in names(draw_costs(tables([*rows, of_batches])).axes[0])
    assert side_by_side([3.0, 1.0, 1.0, 1.1], 2) == [8.0, 1.0, 2.0, 4.0]


def test_curves_mark_saturation(many):
    (axes,) = draw_curves(many).axes
    assert axes.get_title(loc="left") == "Target tasks: 10-way 100-shot"
    assert "DARTS from scratch (ring at 384 G)" in names(axes)  # 96 % of 400 G lies 0.4 points below the end
    assert "ring: within half a point of the end" in {text.get_text() for text in axes.texts}
    assert axes.get_ylabel() == "best validation score so far, %"


def trial(parameters, value, **measures):
    labels = {"width": str(parameters)}
    return Trial(Architecture(labels), value, Cost(), measures={"parameters": float(parameters), **measures})


@pytest.fixture
def searched(make):
    fronts = {
        "NSGA-II": [(9_000, 0.61), (2_000, 0.45), (40_000, 0.74), (90_000, 0.78)],
        "TPE": [(30_000, 0.77), (3_000, 0.5), (12_000, 0.58)],
    }
    rows = []
    for method, points in fronts.items():
        front = tuple(trial(*point) for point in points)
        chosen = max(front, key=lambda one: one.value).architecture
        rows.append(replace(make(method, value=0.7, search=10**10, task="glyphs/0"), front=front, architecture=chosen))
    return [*rows, make("random", value=0.6, search=10**10, task="glyphs/0")]


def test_tested_networks_are_drawn_with_their_intervals():
    point = SimpleNamespace
    front = [point(parameters=p, test_score=v, ci95=0.02) for p, v in ((1_000, 0.5), (9_000, 0.45), (40_000, 0.99))]
    result = point(front=front, traded="parameters", task_id="t", metric="accuracy", parameters=40_000, test_score=0.99)
    (axes,) = draw_tested(result).axes
    (steps,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert list(map(tuple, steps.get_xydata().round(6))) == [(1_000, 50), (40_000, 99)]
    bars = [line.get_ydata().round(6).tolist() for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert bars[:3] == [[48, 52], [43, 47], [97, 100]]
    assert axes.get_ylabel() == "test accuracy, %"
    front[0].ci95 = math.nan  # of too few examples
    assert len(draw_tested(result).axes[0].lines) == len(axes.lines) - 1


def test_without_fronts_there_is_no_figure(make, searched, tmp_path):
    assert draw_fronts([make("a", value=0.5)]) is None
    write_report(tmp_path, searched)
    assert "](fronts.png)" in (tmp_path / "report.md").read_text()
    with Image.open(tmp_path / "fronts.png") as image:
        assert image.size[0] > 500


def tried(order, **changes):
    """A search of networks, given by their letters, each with a score in percent; the last one has been chosen."""
    trials = [
        Trial(Architecture({"kernel": letter}), value / 100, Cost(flops=10**9 * place), recipe={"rate": 0.1})
        for place, (letter, value) in enumerate(order, start=1)
    ]
    fields = {"architecture": trials[-1].architecture, "stopped": False, "untried": 0, "linear_model": ""}
    fields |= {"task_id": "letters", "metric": "accuracy", "whole_recipe": {"rate": 0.1, "epochs": 3}}
    return SimpleNamespace(record=SearchRecord("letters", trials), **{**fields, **changes})


ORDER = [("a", 50), ("b", 60), ("c", 40), ("d", 30), ("b", 70), ("a", 65), ("e", 66), ("b", 80), ("e", 81), ("e", 82)]


def test_each_network_is_a_line_to_where_it_was_dropped():
    (axes,) = draw_rounds(tried(ORDER)).axes
    lines = [list(map(tuple, line.get_xydata())) for line in axes.lines if line.get_linestyle() == "-"]
    assert lines[0] == [(6, 66), (8, 81), (9, 82)]  # the chosen one comes first
    assert sorted(map(len, lines)) == [1, 1, 2, 3, 3]
    marked = [(line.get_marker(), tuple(line.get_xydata()[0])) for line in axes.lines if line.get_linestyle() == "None"]
    assert [place for mark, place in marked if mark == "o"] == [(9, 82)]
    assert sorted(place for mark, place in marked if mark == "x") == [(2, 40), (3, 30), (5, 65), (7, 80)]
    assert {text.get_text() for text in axes.texts} >= {"5", "round 1", "2", "3", "4"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4 G", "7 G", "10 G"]
    assert names(axes) == ["5: chosen", "2: kernel b", "1: kernel a", "3: kernel c", "4: kernel d"]


def test_a_search_of_one_network_or_of_a_front_is_not_drawn():
    assert draw_rounds(tried([("a", 50), ("a", 60)])) is None
    front = tried(ORDER)
    front.record.objectives = ("accuracy", "parameters")
    assert draw_rounds(front) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Network 5 was chosen. The search ended when its part of the budget was spent, after"),
        (
            {"architecture": Architecture({"kernel": "z"}), "linear_model": "of words, has 90.0 %"},
            "Linear model: of words, has 90.0 %. The",
        ),
        ({"stopped": True}, "It was interrupted, after 10.0 GFLOPs."),
        ({"untried": 2}, "The budget did not pay for 2 further networks."),
    ],
)
def test_the_end_of_a_search_is_described(changes, said):
    text = describe_rounds(tried(ORDER, **changes))
    assert text.startswith("The search tried 5 networks in 4 rounds. ")
    assert said in text
    assert ("Network 5 was chosen" in text) == ("architecture" not in changes)
