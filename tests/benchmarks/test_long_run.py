"""The long training, shortened: what must not grow does not, and what grows is reported."""

import importlib
import random
from pathlib import Path

import pytest

import lit_metanas

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*tensorboard.*"),
]


@pytest.fixture
def long_run(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("long_run")


def test_a_slope_is_told_from_noise(long_run):
    draw = random.Random(0)
    steps = list(range(10, 10_001, 10))
    flat = [1e8 + draw.gauss(0, 1e5) for _ in steps]
    growth, half = long_run.slope(steps, flat)
    assert abs(growth) < 1.5 * half
    leaking = [value + 50 * step for step, value in zip(steps, flat, strict=True)]
    assert long_run.slope(steps, leaking)[0] == pytest.approx(growth + 50)
    assert long_run.slope(steps, leaking)[1] == pytest.approx(half)
    exact = long_run.slope(steps, [3.0 * step for step in steps])
    assert exact == pytest.approx((3.0, 0.0), abs=1e-6)


@pytest.mark.slow
def test_nothing_grows(long_run, tmp_path):
    figures = {figure.name: figure for figure in long_run.measured(tmp_path, 600)}
    assert figures["more open files at the end"].value <= 0
    assert figures["all files a step"].value < 100
    low, _ = figures["memory a step, upper end"].spread
    assert low < 4000  # so short a run still fills its caches: no step keeps as much as one image more
