"""A whole front: networks that trade accuracy against their size or latency."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from auto_toys import NO_MEMORY, interrupt, same_weights

import lit_metanas as lm
from lit_metanas.automl import last_training, output, stages
from lit_metanas.records.record import SearchOutcome
from lit_metanas.report.figures.fronts import draw_fronts, draw_tested

Arrays = tuple[np.ndarray, list[str]]
Call = Callable[..., lm.SearchResult]


pytestmark = pytest.mark.usefixtures("short_trials")


@pytest.fixture
def call(arrays: Arrays, space: lm.LayeredSpace) -> Call:
    """Searches a front."""

    def run(**more: Any) -> lm.SearchResult:
        given: dict[str, Any] = {"flops": (6e6, 6e6), "pareto": "parameters", **more}
        return lm.auto(arrays, space=space, progress=False, **given)

    return run


def test_a_front_goes_from_small_networks_to_the_best(call: Call, tmp_path: Path) -> None:
    found = call(output=tmp_path / "out", max_parameters=600)
    sizes = [one.parameters for one in found.front]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] <= 600
    assert found.architecture in [one.architecture for one in found.front]
    assert found.cost.flops <= 6e6
    assert found.training_cost.flops == sum(one.training_cost.flops for one in found.front) <= 6e6
    assert found.val_score == max(one.val_score for one in found.front)
    told = repr(found).splitlines()
    assert sum("-parameters" in line for line in told) == len(sizes)
    folder = tmp_path / "out" / "front"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*found.front_names, "front.md", "front.png"])
    for name, one in zip(found.front_names, found.front, strict=True):
        assert f"| {name} | {one.parameters:,} |" in (folder / "front.md").read_text()
        assert lm.load(folder / name).architecture == one.architecture.to_json()
    assert "in the folder front" in (tmp_path / "out" / "README.md").read_text()
    again = call(output=tmp_path / "out", max_parameters=600)
    assert repr(again) == repr(found)
    assert again.to_plain() == found.to_plain()
    assert all(same_weights(a.network, b.network) for a, b in zip(again.front, found.front, strict=True))
    repeated = call(flops=found.budget, max_parameters=600)
    assert [(one.architecture, one.test_score, one.recipe) for one in repeated.front] == [
        (one.architecture, one.test_score, one.recipe) for one in found.front
    ]


def test_a_network_of_a_front_whose_training_fails_is_left_out(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = call()
    interrupt(monkeypatch, last_training, at=1, by=NO_MEMORY)
    with pytest.warns(UserWarning, match="the last training failed .*: this network is left out"):
        found = call()
    assert not found.stopped
    kept, before = [[one.architecture for one in each.front] for each in (found, whole)]
    assert kept
    assert set(kept) == {*before} - {whole.architecture}


@pytest.mark.filterwarnings("ignore:.* this network is left out")
def test_if_all_trainings_of_a_front_fail_the_best_is_as_the_search_trained_it(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise NO_MEMORY

    monkeypatch.setattr(last_training, "fit_child", fail)
    with pytest.warns(UserWarning, match="the last training failed .*: the best so far is taken"):
        found = call()
    assert "can't allocate memory" in found.failure
    assert [one.images for one in found.front] == [(24, 8)]


def test_a_front_that_goes_on_leaves_no_networks_of_the_one_that_was_stopped(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = output.OutputFolder.write

    def write(folder: output.OutputFolder, *args: Any, **more: Any) -> None:
        (folder.path / "front" / "1-20000-parameters").mkdir(parents=True)
        plain(folder, *args, **more)

    monkeypatch.setattr(output.OutputFolder, "write", write)
    found = call(output=tmp_path / "out")
    folders = [path.name for path in (tmp_path / "out" / "front").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(found.front_names)


def test_an_interrupted_front_has_what_was_trained(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = call()
    assert len(whole.front) > 1
    for at, learned in ((1, 24), (2, 32)):  # the first one as the search trained it, or in full
        with monkeypatch.context() as patched:
            interrupt(patched, last_training, at=at)
            stopped = call()
        assert stopped.stopped
        assert (stopped.architecture, stopped.val_score) == (whole.architecture, whole.val_score)
        assert [one.images for one in stopped.front] == [(learned, 8)]


def test_the_best_network_that_is_still_fast_enough_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        lm.records.Trial(lm.Architecture({"n": n}), value, lm.Cost()) for n, value in (("a", 6), ("b", 9), ("c", 7))
    ]
    outcome = SearchOutcome(found[1].architecture, None, lm.records.SearchRecord("toy", found))
    setup, slow = Mock(), list[str]()

    def network(_: object, one: SearchOutcome) -> Any:
        return SimpleNamespace(name=one.architecture["n"], too_slow="2 ms" if one.architecture["n"] in slow else None)

    monkeypatch.setattr(stages, "network_of", network)
    for name in "bca":
        assert stages.network_in_time(setup, outcome).name == name  # type: ignore[attr-defined]
        slow.append(name)
    with pytest.raises(ValueError, match=r"all that was searched is slower now \(2 ms\): raise max_latency"):
        stages.network_in_time(setup, outcome)


def test_a_front_of_latencies_says_so(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(network: torch.nn.Module, shape: tuple[int, ...]) -> float:
        return 4e-6 * sum(weights.numel() for weights in network.parameters())

    for module in ("estimators.estimator", "automl.stages"):
        monkeypatch.setattr(f"lit_metanas.{module}.latency", timed)
    found = call(pareto="latency", max_latency=1, output=tmp_path / "out")
    for one in (found, *found.front):
        assert one.latency == pytest.approx(4e-6 * one.parameters)
        assert f"  latency: {1e3 * one.latency:.3g} ms for one input, with 1 thread\n" in repr(one)
    assert found.front_names[0].endswith("us")
    assert [one.latency for one in found.front] == sorted(one.latency for one in found.front)
    assert (
        "trade accuracy against the latency of one input are in the folder front"
        in (tmp_path / "out" / "README.md").read_text()
    )
    table = (tmp_path / "out" / "front" / "front.md").read_text()
    assert "| latency, ms |" in table
    assert "none that is as fast and" in table
    for figure in (draw_tested(found), draw_fronts(lm.records.read_results(tmp_path / "out" / "results.json"))):
        assert figure.axes[0].get_xlabel() == "milliseconds for one input"
