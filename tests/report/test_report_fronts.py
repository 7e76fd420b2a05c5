"""Pareto fronts in the report."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from lit_metanas.records import Cost, Trial
from lit_metanas.report import write_report
from lit_metanas.report.figures.fronts import draw_fronts, draw_tested
from lit_metanas.spaces import Architecture


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


def test_without_fronts_there_is_no_figure(make, searched, tmp_path):
    assert draw_fronts([make("a", value=0.5)]) is None
    write_report(tmp_path, searched)
    assert "](fronts.png)" in (tmp_path / "report.md").read_text()
    with Image.open(tmp_path / "fronts.png") as image:
        assert image.size[0] > 500
