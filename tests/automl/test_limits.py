"""Limits of a network are hard, and one that nothing meets is answered by the nearest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from lit_metanas.automl.steps.limits import (
    LimitedSpace,
    NetworkLimits,
    bytes_of,
    exported_bytes,
    milliseconds,
    seconds_of,
)

import lit_metanas as lm
from lit_metanas.estimators.estimator import inputs_timed
from lit_metanas.searchers.mutation import draw_new, mutate

TASK = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
SPACE = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8, 16))


def test_durations() -> None:
    assert [seconds_of(each) for each in (0.5, "5ms", "5 ms", "2s", "0.25", "7us")] == [
        0.5, 0.005, 0.005, 2, 0.25, pytest.approx(7e-6),
    ]  # fmt: skip
    for wrong in ("5 min", "fast", "", "-1ms", 0, "1e400"):
        with pytest.raises(ValueError, match="is no duration"):
            seconds_of(wrong)


def test_a_duration_as_a_text_is_the_same_duration() -> None:
    assert [milliseconds(each) for each in (0.005, 2.0, 7e-6)] == ["5ms", "2000ms", "0.007ms"]
    generator = torch.Generator().manual_seed(0)
    for each in torch.rand(200, generator=generator, dtype=torch.float64).tolist():
        assert seconds_of(milliseconds(each)) == each


def test_sizes() -> None:
    assert [bytes_of(each) for each in (7, "500kB", "2 MB", "1e3", "0.5gb")] == [7, 5e5, 2e6, 1e3, 5e8]
    for wrong in ("small", "5 ms", "-1kB", "", 0, "1e400"):
        with pytest.raises(ValueError, match="is no size"):
            bytes_of(wrong)


def test_the_size_is_that_of_the_exported_program(tmp_path: Path) -> None:
    small = min(SPACE.architectures(), key=lambda one: SPACE.cost(one, TASK.shape, 2).parameters)
    size = exported_bytes(SPACE, TASK, small)
    limited = LimitedSpace(SPACE, NetworkLimits(size=size), TASK)
    assert limited.check(small) is None
    tighter = LimitedSpace(SPACE, NetworkLimits(size=size - 1), TASK)
    sentence = f"it is {size:,.0f} bytes as exported, and the limit is {size - 1:,.0f} bytes"
    assert tighter.within.violation(small) == sentence
    hopeless = LimitedSpace(SPACE, NetworkLimits(size=50), TASK)
    assert "its weights alone are" in (hopeless.within.violation(small) or "")
    with pytest.raises(ValueError, match=r"is within max_size = 50 bytes: the nearest is [\d,]+ bytes as exported"):
        hopeless.begin({})
    found = lm.auto(TASK, flops=4e6, space=SPACE, max_size=size + 20_000, output=tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "model.pt2").stat().st_size <= size + 20_000
    assert exported_bytes(SPACE, TASK, found.architecture) == (tmp_path / "out" / "model.pt2").stat().st_size


def test_limits_are_above_zero() -> None:
    with pytest.raises(ValueError, match="max_parameters = '10k' must be a number above 0"):
        NetworkLimits.told("10k", None, None)  # type: ignore[arg-type]
    assert json.dumps(NetworkLimits.told(np.int64(9), None, None).given) == '{"parameters": 9.0}'
    with pytest.raises(ValueError, match="max_parameters = 0 must be a number above 0"):
        NetworkLimits(parameters=0)


@pytest.mark.parametrize("name", ["parameters", "flops"])
def test_nothing_above_a_limit_is_drawn_or_mutated(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = sorted(
        LimitedSpace(SPACE, NetworkLimits(), TASK).measures[name](SPACE.sample(generator)) for _ in range(50)
    )
    limit = sizes[len(sizes) // 3]
    limited = LimitedSpace(SPACE, NetworkLimits(**{name: limit}), TASK)
    drawn = draw_new(lambda: limited.within.sample(generator), 20, refusal=limited.within.violation)
    assert len(drawn) == 20
    changed = draw_new(lambda: mutate(limited.within, drawn[0], generator), 5, refusal=limited.within.violation)
    assert max(map(limited.measures[name], [*drawn, *changed])) <= limit < sizes[-1]
    above = max((SPACE.sample(generator) for _ in range(50)), key=limited.measures[name])
    noun = "multiply-adds" if name == "flops" else name
    assert re.fullmatch(rf"it has [\d,]+ {noun}, and the limit is {limit:,.0f}", limited.within.violation(above) or "")
    assert SPACE.violation(above) is None


def test_a_latency_is_measured_once_in_the_search_and_anew_when_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.004, 0.006])
    monkeypatch.setattr("lit_metanas.estimators.estimator.latency", lambda network, shape, batch: next(times))
    limited = LimitedSpace(SPACE, NetworkLimits(latency=0.005), TASK)
    one = SPACE.sample(torch.Generator().manual_seed(0))
    assert [limited.within.violation(one) for _ in range(3)] == [None] * 3
    assert limited.check(one) == "it takes 6 ms, and the limit is 5 ms"


def test_a_limit_for_a_batch_refuses_what_one_input_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lit_metanas.estimators.estimator.latency", lambda network, shape, batch: 0.001 * batch)
    one = SPACE.sample(torch.Generator().manual_seed(0))
    for batch, refusal in ((1, None), (32, "it takes 32 ms for 32 inputs at once, and the limit is 5 ms")):
        limits = NetworkLimits.told(None, None, "5ms", latency_batch=batch)
        limited = LimitedSpace(SPACE, limits, TASK)
        assert limited.within.violation(one) == limited.check(one) == refusal
        assert limits.given == {"latency": 0.005}
    with pytest.raises(ValueError, match=r"max_latency = 5 ms: the nearest takes 32 ms for 32 inputs at once\. Raise"):
        limited.begin({})
    for wrong in (0, -1, 2.5, "4", True, 10**30):
        with pytest.raises(ValueError, match=r"latency_batch = .* must be a whole number from 1 to 1,000,000\."):
            NetworkLimits(latency_batch=wrong)  # type: ignore[arg-type]


def test_latencies_of_other_batches_are_other_settings_and_other_measures() -> None:
    usual, other = NetworkLimits(latency=0.005), NetworkLimits(latency=0.005, latency_batch=32)
    # As folders of searches have them that were begun before there were batches.
    assert usual.settings == {"parameters": None, "flops": None, "latency": 0.005, "size": None}
    assert other.settings == {**usual.settings, "latency_batch": 32}
    assert [limits.measure("latency") for limits in (usual, other)] == ["latency", "latency_32"]
    assert other.measure("flops") == "flops"
    names = [*(limits.measure("latency") for limits in (usual, other)), "flops", "latency_of_a_phone"]
    assert [inputs_timed(name) for name in names] == [1, 32, 0, 0]


def test_the_search_begins_with_the_usual_network_or_a_smaller_one() -> None:
    free = LimitedSpace(SPACE, NetworkLimits(), TASK)
    wanted = {"depth": "2", "width": "16", "kernel": "3", "unknown": "label", "pool": "none"}
    usual = free.begin(wanted)
    assert (usual["depth"], usual["layer2.width"], usual["layer1.kernel"]) == ("2", "16", "3")
    limit = free.measures["parameters"](usual) / 4
    limited = LimitedSpace(SPACE, NetworkLimits(parameters=limit), TASK)
    begun = limited.begin(wanted)
    assert limit / 4 < limited.measures["parameters"](begun) <= limit


def test_the_nearest_is_told_where_nothing_meets_a_limit() -> None:
    smallest = min(map(LimitedSpace(SPACE, NetworkLimits(), TASK).measures["parameters"], SPACE.architectures()))
    limited = LimitedSpace(SPACE, NetworkLimits(parameters=smallest - 1), TASK)
    sentence = (
        f"No network of LayeredSpace is within max_parameters = {smallest - 1:.0f}: the nearest has {smallest:.0f} "
        "parameters. Raise max_parameters to that; in Python you can give another 'space', too."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        limited.begin({})
    assert LimitedSpace(SPACE, NetworkLimits(parameters=smallest), TASK).begin({}) is not None
