import math
from dataclasses import replace

import pytest
from matplotlib.text import Text

from lit_metanas.callbacks.figures import figure
from lit_metanas.records import Cost, Protocol, Trial
from lit_metanas.report import tables
from lit_metanas.report.figures.costs import draw_costs, draw_curves
from lit_metanas.report.figures.fronts import draw_fronts
from lit_metanas.report.figures.panel import side_by_side, spread, ticks
from lit_metanas.spaces import Architecture


def names_overlap(figure) -> bool:
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    boxes = [Text.get_window_extent(text, renderer) for axes in figure.axes for text in axes.texts]
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def inside(figure) -> bool:
    """Whether no text leaves the picture."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    whole = figure.bbox
    items = [t for axes in figure.axes for t in [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]]
    boxes = [Text.get_window_extent(item, renderer) for item in items]  # without the line of an annotation
    return all(box.x0 >= 0 and box.x1 <= whole.x1 for box in boxes)


def test_costs_show_each_method_at_its_place(many):
    made = tables(many)
    figure = draw_costs(made)
    assert len(figure.axes) == 2
    axes = figure.axes[1]
    points = {tuple(line.get_xydata()[0].round(6)) for line in axes.lines if len(line.get_xydata()) == 1}
    assert (pytest.approx(11.60206), pytest.approx(74 - 5)) in [(x, y) for x, y in points]  # log10 of 4e11, DARTS
    assert len(points) == 4
    assert axes.get_xlabel() == "training FLOPs to search one task"
    assert axes.get_ylabel() == "accuracy, %"
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] == "no search"
    assert {"10 G", "100 G", "1 T"} <= set(labels)
    assert {row.method for row in made[1].rows} <= {text.get_text() for text in axes.texts}
    assert not names_overlap(figure)
    assert inside(figure)


def test_costs_without_any_search(make):
    figure = draw_costs(tables([make("Conv-4", values=[0.5, 0.6], meta=5), make("pyramid", values=[0.5, 0.7], meta=5)]))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["no search"]


def test_costs_of_equal_accuracy_keep_names_apart(make):
    rows = [make(f"method {i}", values=[0.5, 0.6], search=10**10) for i in range(8)]
    figure = draw_costs(tables(rows))
    assert not names_overlap(figure)
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xydata()) == 1]
    assert len(set(points)) == 8


def test_one_method_alone_is_no_figure(make):
    assert draw_costs(tables([make("Conv-4", values=[0.5, 0.6])])) is None


def test_bars_end_where_shares_do(make):
    rows = [make(name, value=value, seed=seed, task="t", protocol=Protocol("target", 10, 100, "running"))
            for name in ("a", "b") for seed, value in enumerate((0.1, 0.99))]  # fmt: skip
    (axes,) = draw_costs(tables(rows)).axes
    bars = [line.get_ydata().tolist() for line in axes.lines if len(line.get_xydata()) == 2]
    assert bars == [[0, 100]] * 2


def test_thick_bars_are_explained_where_there_are_any(make, many):
    def note(rows):
        return next(text.get_text() for text in draw_costs(tables(rows)).axes[0].texts if "95 %" in text.get_text())

    assert note(many) == "lines: 95 % intervals, thin over episodes, thick over seeds"
    assert note([row for row in many if row.seed == 0]) == "line: 95 % interval over episodes"


def test_lines_to_names_do_not_cross(make):
    accuracies = [0.99, 0.985, 0.98, 0.975, 0.97, 0.5]
    rows = [make(f"method {i}", values=[v, v - 0.002], search=10 ** (9 + i)) for i, v in enumerate(accuracies)]
    (axes,) = draw_costs(tables(rows)).axes
    leaders = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 3]
    assert len(leaders) == 6
    for leader in leaders:
        assert leader[0][1] == leader[1][1]
        assert leader[1][0] == axes.get_xlim()[1]
    at_edge = sorted(leaders, key=lambda leader: leader[1][1])
    beside = [leader[2][1] for leader in at_edge]
    assert beside == sorted(beside)
    assert beside != [leader[1][1] for leader in at_edge]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (9.0, 12.0, ["1 G", "10 G", "100 G", "1 T"]),
        (9.9, 11.1, ["10 G", "20 G", "50 G", "100 G"]),
        (10.2, 10.8, ["20 G", "50 G"]),
        (0.0, 20.0, ["1", "10 k", "100 M", "1 T", "10 P", "100 E"]),
    ],
)
def test_an_axis_has_several_ticks(low, high, expected):
    axes = figure(3, 2).add_axes((0, 0, 1, 1))
    ticks(axes, low, high)
    assert [label.get_text() for label in axes.get_xticklabels()] == expected


def test_curves_mark_saturation(many):
    figure = draw_curves(many)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Target tasks: 10-way 100-shot"
    texts = {text.get_text() for text in axes.texts}
    assert "DARTS from scratch (ring at 384 G)" in texts  # 96 % of 400 G lies 0.4 points below the end
    assert "ring: within half a point of the end" in texts
    assert axes.get_ylabel() == "best validation score so far, %"
    assert inside(figure)


@pytest.mark.parametrize("scores", [(1200.0, 1500.0), (-3.0, -2.0), (-0.2, 0.4)])
def test_scores_that_are_no_shares_are_within_the_axes(make, scores):
    """Such as a word accuracy below 0, or an estimator's own."""
    protocol, curve = Protocol("target", 10, 100, "running"), list(zip((1e9, 4e9), scores, strict=True))
    trial = Trial(Architecture({"kernel": "3"}), scores[0], Cost(), measures={"parameters": 1000.0})
    front = (trial, replace(trial, value=scores[1], measures={"parameters": 2000.0}))
    made = [
        replace(make(method, value=value, task="a", protocol=protocol, search=5 * 10**9, curve=curve), front=front)
        for method, value in zip("ab", scores, strict=True)
    ]
    for drawn in (draw_curves(made), draw_fronts(made), draw_costs(tables(made))):
        (axes,) = drawn.axes
        low, high = axes.get_ylim()
        assert low < 100 * min(scores) < 100 * max(scores) < high


def test_each_metric_has_a_panel_of_its_own(make):
    protocol, curve = Protocol("target", 10, 100, "running"), [(1e9, 0.2), (4e9, 0.4)]
    rows = [
        replace(
            make("a", value=0.4, task=f"{metric}/{n}", protocol=protocol, search=4 * 10**9, curve=curve), metric=metric
        )
        for metric in ("word accuracy", "chrF")
        for n in range(2)
    ]
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in draw_curves(rows).axes]
    assert len(set(titles)) == len(tables(rows)) == 2


def test_axes_count_in_the_account_of_their_protocol(many, looked_up):
    rows = [*many, *looked_up]
    below = [axes.get_xlabel() for axes in draw_curves(rows).axes]
    assert below == ["training FLOPs spent on searching one task", "queries spent on searching one task"]
    assert "evolution (ring at 40)" in {text.get_text() for text in draw_curves(rows).axes[1].texts}
    costs = draw_costs(tables(rows)).axes
    assert [axes.get_xlabel() for axes in costs] == [*["training FLOPs to search one task"] * 2,
                                                     "queries to search one task"]  # fmt: skip
    points = [line.get_xdata()[0] for line in costs[2].lines if len(line.get_xydata()) == 1]
    assert points == pytest.approx([2, math.log10(40)])


def test_a_method_has_one_colour_in_all_figures(make):
    def row(method, protocol, search):
        return replace(make(method, value=0.5, search=search, curve=[(search, 0.5)], task="t"), protocol=protocol)

    episodes, target = Protocol("episodes", 5, 1, "support"), Protocol("target", 10, 100, "running")
    rows = [row("a", episodes, 10), row("b", target, 10), row("c", episodes, 100), row("b", episodes, 1000)]
    curves = draw_curves(rows)
    costs = draw_costs(tables(rows))

    def colours(figure):
        return {text.get_text().split(" (")[0]: text.get_color() for axes in figure.axes for text in axes.texts
                if text.get_text()[0] in "abc"}  # fmt: skip

    assert len(set(colours(costs).values())) == 3
    assert colours(costs) == colours(curves)


def test_no_curves_no_figure(make):
    assert draw_curves([make("a", values=[0.5, 0.6])]) is None


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.52, 0.48], [0.55, 0.45]),
        ([0.0, 0.02], [0.0, 0.1]),
        ([1.0, 1.0, 0.95], [0.9, 1.0, 0.8]),
    ],
)
def test_spread(heights, expected):
    assert spread(heights, 0.1, 0.0, 1.0) == pytest.approx(expected)


def test_side_by_side():
    assert side_by_side([3.0, 1.0, 1.0, 1.05], 0.1) == pytest.approx([3.0, 1.0, 1.1, 1.2])


def test_a_curve_goes_on_to_the_whole_cost_of_its_search(make):
    protocol = Protocol("target", 4, 24, "running")
    rows = [
        make("halving", value=0.9, task="t", protocol=protocol, search=300, curve=[(100, 0.5), (150, 0.9)]),
        make("DARTS", value=0.9, task="t", protocol=protocol, search=50, curve=[(50, 0.8)]),
    ]
    (axes,) = draw_curves(rows).axes
    lines = [line.get_xydata() for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert lines[0].tolist() == [[math.log10(100), 50], [math.log10(150), 90], [math.log10(300), 90]]
    assert len(lines[1]) == 1
    assert "halving (ring at 150)" in {text.get_text() for text in axes.texts}
    assert draw_curves(rows[1:]) is None  # a point alone tells nothing


def test_one_task_has_one_title_in_all_figures_and_it_is_whole(make):
    protocol = Protocol("target", 4, 24, "running")
    curve = [(100, 0.5), (150, 0.9)]
    rows = [
        replace(make(name, value=0.9, task="photos", protocol=protocol, search=300, curve=curve), images=(1000, 334))
        for name in "ab"
    ]
    title = "Task photos: 4 classes, trained on 1000 examples, tested on 334"
    for drawn in (draw_curves(rows), draw_costs(tables(rows))):
        (axes,) = drawn.axes
        assert axes.get_title(loc="left").replace("\n", " ") == title
        assert inside(drawn)
        renderer = drawn.canvas.get_renderer()
        assert Text.get_window_extent(axes._left_title, renderer).y1 <= drawn.bbox.y1
