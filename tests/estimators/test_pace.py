"""How fast a machine is: the mean of measurements, and what they decide."""

from typing import Any

import numpy as np
import pytest
import torch

import lit_metanas as lm
from lit_metanas.estimators import pace
from lit_metanas.estimators.pace import Pace
from lit_metanas.training import precision
from lit_metanas.training.precision import BF16, FLOAT32

Arrays = tuple[np.ndarray, list[str]]
SPACE = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8))


def test_a_pace_is_averaged_with_that_of_earlier_trainings() -> None:
    measured = Pace(flops=4e9, building=0.5, scoring=0.01)
    costs = [lm.Cost(flops=int(4e9), seconds=5.5), lm.Cost(flops=int(4e9), seconds=5.5)]  # 1.5 s of each beside
    assert measured.averaged(costs, around=1.5).flops == pytest.approx(1 / (0.5 / 4e9 + 0.5 / 1e9))
    assert measured.averaged([], around=1.5) == measured
    assert measured.averaged([lm.Cost(flops=int(4e9), seconds=1.0)], around=1.5) == measured


def test_the_clock_decides_by_the_steps_of_real_networks(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    plain, done, now = pace.fit_child, list[tuple[str, str, int]](), 0.0

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        nonlocal now
        now += 1.0 if more["precision"] == BF16 else 2.0
        cost: lm.Cost = plain(child, train, **more)
        done.append((str(child.architecture), more["precision"], cost.steps))
        return cost

    monkeypatch.setattr(pace, "fit_child", fit)
    monkeypatch.setattr(precision, "perf_counter", lambda: now)
    data = lm.task_from_arrays(*arrays)
    networks = [SPACE.sample(torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    recipe = lm.Recipe(batch_size=4)
    assert pace.faster_precision(data, SPACE, networks, recipe, seconds=0.0) == BF16
    turn = [(str(one), name, 4) for name in (FLOAT32, BF16) for one in networks]
    assert done == turn * 2


@pytest.mark.parametrize(("gain", "threads"), [(1.1, 1), (1.3, 3)])
def test_several_threads_are_taken_if_they_are_clearly_faster(
    gain: float, threads: int, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    flops = {False: 1e6, True: 1e6 * gain}
    monkeypatch.setattr(pace, "measure_pace", lambda *args, **more: Pace(flops[torch.get_num_threads() > 1], 0, 0))
    networks = lm.task_from_arrays(*arrays), SPACE, SPACE.sample(torch.Generator().manual_seed(0)), lm.Recipe()
    assert pace.threads_that_pay(*networks, seconds=1, precision="32-true", most=3) == threads
    assert torch.get_num_threads() == 1
