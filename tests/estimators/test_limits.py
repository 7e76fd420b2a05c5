"""Limits of a network are hard, and one that nothing meets is answered by the nearest."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import lit_metanas as lm
from lit_metanas.estimators.limits import LimitedSpace, NetworkLimits, exported_bytes
from lit_metanas.searchers.mutation import draw_new, mutate

TASK = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
SPACE = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8, 16))


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
        hopeless.network_near({})
    found = lm.auto(TASK, flops=4e6, space=SPACE, max_size=size + 20_000, output=tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "model.pt2").stat().st_size <= size + 20_000
    assert exported_bytes(SPACE, TASK, found.architecture) == (tmp_path / "out" / "model.pt2").stat().st_size


@pytest.mark.parametrize("name", ["parameters", "flops"])
def test_nothing_above_a_limit_is_drawn_or_mutated(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    free = LimitedSpace(SPACE, NetworkLimits(), TASK)
    sizes = sorted(free.measures[name](SPACE.sample(generator)) for _ in range(50))
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
    monkeypatch.setattr("lit_metanas.estimators.limits.latency", lambda network, shape: next(times))
    limited = LimitedSpace(SPACE, NetworkLimits(latency=0.005), TASK)
    one = SPACE.sample(torch.Generator().manual_seed(0))
    assert [limited.within.violation(one) for _ in range(3)] == [None] * 3
    assert limited.check(one) == "it takes 6 ms, and the limit is 5 ms"


def test_the_search_begins_with_the_usual_network_or_a_smaller_one() -> None:
    free = LimitedSpace(SPACE, NetworkLimits(), TASK)
    wanted = {"depth": "2", "width": "16", "kernel": "3", "unknown": "label", "pool": "none"}
    usual = free.network_near(wanted)
    assert (usual["depth"], usual["layer2.width"], usual["layer1.kernel"]) == ("2", "16", "3")
    limit = free.measures["parameters"](usual) / 4
    limited = LimitedSpace(SPACE, NetworkLimits(parameters=limit), TASK)
    begun = limited.network_near(wanted)
    assert limit / 4 < limited.measures["parameters"](begun) <= limit


def test_the_nearest_is_told_where_nothing_meets_a_limit() -> None:
    smallest = min(map(LimitedSpace(SPACE, NetworkLimits(), TASK).measures["parameters"], SPACE.architectures()))
    limited = LimitedSpace(SPACE, NetworkLimits(parameters=smallest - 1), TASK)
    sentence = (
        f"No network of LayeredSpace is within max_parameters = {smallest - 1:.0f}: the nearest has {smallest:.0f} "
        "parameters. Raise max_parameters to that; in Python you can give another 'space', too."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        limited.network_near({})
    assert LimitedSpace(SPACE, NetworkLimits(parameters=smallest), TASK).network_near({}) is not None


def test_an_encoder_above_the_largest_program_is_refused() -> None:
    encoder = SimpleNamespace(name="huge", size=10**11)
    with pytest.raises(ValueError, match=r"'huge' has 100,000,000,000 bytes of weights, .*: give a smaller encoder"):
        NetworkLimits().check_encoder(encoder)  # type: ignore[arg-type]
