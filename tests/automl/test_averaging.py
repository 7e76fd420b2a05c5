"""Networks that are trained apart, and whose scores are averaged."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, same_weights

import lit_metanas as lm
from lit_metanas.automl.data_kinds import DATA_KINDS
from lit_metanas.automl.given_data import read_given
from lit_metanas.automl.steps import auto_steps, last_training
from lit_metanas.automl.steps.last_training import SEEDS_APART
from lit_metanas.automl.steps.limits import LimitedSpace, NetworkLimits
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.records.record import SearchOutcome
from lit_metanas.training.child import Ensemble, chosen_child, fit_child, members_of, network_of, training_cost

Arrays = tuple[np.ndarray, list[str]]
AVERAGED = 4
"""Epochs of each network here."""


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few epochs are enough for one of several networks."""
    kinds = {**DATA_KINDS, "images": replace(DATA_KINDS["images"], averaged=AVERAGED)}
    kinds["rows"] = replace(DATA_KINDS["rows"], averaged=AVERAGED)
    monkeypatch.setattr(auto_steps, "DATA_KINDS", kinds)


@pytest.fixture
def epoch(arrays: Arrays, space: lm.LayeredSpace) -> float:
    """Training FLOPs of an epoch of the network that the search begins with, on all but the test part."""
    task = read_given(arrays)
    usual = LimitedSpace(space, NetworkLimits(), task).begin(DATA_KINDS["images"].incumbent)
    return training_cost(space, usual, task.shape, task.way, images=len(all_but_test(task))).flops


@pytest.fixture
def call(arrays: Arrays, space: lm.LayeredSpace, epoch: float) -> Any:
    """Searches one network, and trains for so many epochs of it."""

    def run(epochs: float, **more: Any) -> lm.SearchResult:
        return lm.auto(arrays, flops=(epoch, epochs * epoch), space=space, progress=False, **more)

    return run


def test_an_ensemble_is_the_mean_of_its_networks() -> None:
    space, inputs = lm.LayeredSpace(widths=(4,)), torch.rand(6, 1, 8, 8, dtype=torch.float64)
    one = space.sample(torch.Generator().manual_seed(0))
    whole = network_of(space, one, (1, 8, 8), 3, ensemble=3).double().eval()
    assert isinstance(whole, Ensemble)
    with torch.no_grad():
        scores, alone = whole(inputs), [network(inputs) for network in whole.networks]
    for row in range(6):
        for place in range(3):
            mean = sum(float(own[row, place]) for own in alone) / 3
            assert float(scores[row, place]) == pytest.approx(mean, abs=1e-12)
    assert members_of(whole) == 3
    assert members_of(network_of(space, one, (1, 8, 8), 3)) == 1


@pytest.mark.parametrize(("epochs", "networks"), [(3.9, 1), (7.9, 1), (8.1, 2), (20.1, 5), (40.0, 5)])
def test_as_many_are_trained_as_have_enough_epochs(call: Any, epochs: float, networks: int) -> None:
    result = call(epochs)
    assert (result.ensemble, members_of(result.network)) == (networks, networks)
    assert result.recipe.epochs == int(epochs / networks + 1e-6)
    (*_, single) = [trial for trial in result.record.trials if trial.architecture == result.architecture]
    assert result.val_score == single.value
    assert result.parameters == sum(own.numel() for own in result.network.parameters())


def test_each_is_trained_by_itself(call: Any, arrays: Arrays, space: lm.LayeredSpace) -> None:
    result, task = call(12.1), read_given(arrays)
    assert result.ensemble == 3
    for member, network in enumerate(result.network.networks[1:], start=1):
        found = SearchOutcome(result.architecture, None, result.record)
        alone = chosen_child(task, space, found, result.recipe, member * SEEDS_APART)
        fit_child(alone, all_but_test(task), seed=member * SEEDS_APART)
        assert same_weights(network, alone.network)
    scores = [network(task.test.inputs) for network in result.network.networks]
    assert torch.allclose(result.network(task.test.inputs), sum(scores) / 3, atol=1e-6)
    right = (sum(scores).argmax(dim=1) == task.test.labels).double().mean()  # type: ignore[attr-defined]
    assert result.test_accuracy == right


def test_its_budget_repeats_it(arrays: Arrays, space: lm.LayeredSpace, epoch: float) -> None:
    first = lm.auto(arrays, flops=60 * epoch, space=space, progress=False)
    assert first.ensemble == 5
    assert first.budget is not None
    assert 0.8 * first.budget[1] < first.training_cost.flops <= first.budget[1]
    again = lm.auto(arrays, flops=first.budget, space=space, progress=False)
    assert (again.ensemble, again.recipe) == (5, first.recipe)
    assert same_weights(first.network, again.network)


def test_all_together_are_within_the_limits(call: Any) -> None:
    one = call(3.9)
    for name in ("parameters", "flops"):
        limit = 2.5 * getattr(one, name)
        result = call(20.1, **{f"max_{name}": limit})
        assert result.ensemble == 2
        assert getattr(result, name) == 2 * getattr(one, name) <= limit
        assert result.recipe.epochs == 10


def test_what_further_networks_may_not_take_is_for_the_search(
    arrays: Arrays, epoch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_steps, "DATA_KINDS", {"images": replace(DATA_KINDS["images"], averaged=50)})
    space, task = lm.LayeredSpace(kernels=(1,), depths=(1,), widths=(4,), dropouts=(0,)), read_given(arrays)
    (one, *_) = space.architectures()
    epoch = training_cost(space, one, task.shape, task.way, images=len(all_but_test(task))).flops
    limit = 1.5 * space.cost(one, task.shape, task.way).parameters
    free, limited = (
        lm.auto(arrays, flops=600 * epoch, space=space, max_parameters=most, progress=False) for most in (None, limit)
    )
    assert (free.ensemble, limited.ensemble) == (5, 1)
    assert [round(result.budget[0] / epoch) for result in (free, limited) if result.budget] == [350, 400]


def test_the_exported_one_says_the_same_and_is_read_again(
    call: Any, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, inputs = call(8.1, output=tmp_path / "out"), torch.from_numpy(arrays[0][:, None])
    assert "  average of 2 such networks: " in repr(result)
    program = lm.load_exported(tmp_path / "out")
    assert torch.allclose(program.network(inputs), result.network(inputs), atol=1e-5)
    assert "(average of 2 such networks)" in (tmp_path / "out" / "README.md").read_text()
    (row,) = lm.read_results(tmp_path / "out" / "results.json")
    assert row.parameters == result.parameters
    monkeypatch.setattr(auto_steps.AutoSteps, "result", lambda self: pytest.fail("done again"))
    again = call(8.1, output=tmp_path / "out")
    assert (again.ensemble, again.parameters, again.flops) == (2, result.parameters, result.flops)
    assert same_weights(result.network, again.network)


def test_an_interrupt_leaves_those_that_were_trained(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call(12.1)
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=3)
        stopped = call(12.1, output=tmp_path / "out")
    assert (stopped.stopped, stopped.ensemble) == (True, 2)
    assert same_weights(stopped.network.networks[1], whole.network.networks[1])
    goes_on = call(12.1, output=tmp_path / "out")
    assert (goes_on.stopped, goes_on.ensemble) == (False, 3)
    assert same_weights(goes_on.network, whole.network)


@pytest.mark.parametrize("broken", [{0}, {1}, {0, 1, 2}])
def test_one_that_diverges_is_left_out(call: Any, broken: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = last_training.fit_child, list[lm.Child]()

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        if len(calls) in broken:
            next(child.network.parameters()).data.fill_(torch.nan)
        calls.append(child)
        return cost

    whole = call(12.1)
    monkeypatch.setattr(last_training, "fit_child", fit)
    with pytest.warns(UserWarning, match="the last training diverged"):
        result = call(12.1)
    assert result.ensemble == max(1, 3 - len(broken))
    assert result.training_cost.flops == whole.training_cost.flops
    assert torch.isfinite(torch.cat([own.flatten() for own in result.network.parameters()])).all()


def test_networks_that_write_are_not_averaged() -> None:
    averaged = {name for name, kind in DATA_KINDS.items() if kind.averaged}
    assert averaged == {"images", "sounds", "texts"}


def test_an_estimator_is_pickled_with_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="needs the extra sklearn")
    space = lm.MLPSpace(depths=(1,), widths=(4,))

    def short(task: lm.Task, **more: Any) -> lm.SearchResult:
        return lm.auto(task, flops=(1e5, 2e6), space=space, progress=False)

    monkeypatch.setattr("lit_metanas.automl.auto_estimator.auto", short)
    X = np.random.default_rng(0).random((60, 4))
    model = lm.AutoClassifier(minutes=1, space=space).fit(X, X[:, 0] > 0.5)
    assert model.ensemble_ == members_of(model.network_) == 5
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
