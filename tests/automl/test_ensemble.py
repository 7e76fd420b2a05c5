"""Ensembles: networks that are trained apart, with the mean of their scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import NO_MEMORY, diverge, interrupt, no_search, same_tensors, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_plan, last_training, stages
from lit_metanas.automl.job import Job
from lit_metanas.automl.last_training import SEEDS_APART
from lit_metanas.automl.options import AutoOptions
from lit_metanas.estimators.input_variants import InputVariants
from lit_metanas.estimators.limits import LimitedSpace, NetworkLimits
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.kinds.kind import kind_named
from lit_metanas.records.record import FailedWorkError, SearchOutcome
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.training.child import chosen_child, fit_child, training_cost
from lit_metanas.training.ensembles import members_of

Arrays = tuple[np.ndarray, list[str]]
Call = Callable[..., lm.SearchResult]


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs are enough for a member."""
    monkeypatch.setattr(ImageKind, "member_epochs", 4)


@pytest.fixture
def epoch(arrays: Arrays, space: lm.LayeredSpace) -> float:
    """Training FLOPs of an epoch of the network that the search begins with, on all but the test part."""
    task = read_given(arrays)
    usual = LimitedSpace(space, NetworkLimits(), task).network_near({})
    return training_cost(space, usual, task.shape, task.way, images=len(all_but_test(task))).flops


@pytest.fixture
def first_epoch(arrays: Arrays, epoch: float) -> float:
    """That of the first network of an ensemble, which leaves half of the validation part out to be calibrated by."""
    task = read_given(arrays)
    assert task.val is not None
    return epoch / len(all_but_test(task)) * (len(task.train) + len(task.val) // 2)


@pytest.fixture
def call(arrays: Arrays, space: lm.LayeredSpace, epoch: float) -> Call:
    """Searches one network, and trains for so many epochs of it."""

    def run(epochs: float, **more: Any) -> lm.SearchResult:
        return lm.auto(arrays, flops=(epoch, epochs * epoch), space=space, progress=False, **more)

    return run


def test_a_search_that_goes_on_keeps_the_shares_of_its_plan(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stopped:
        interrupt(stopped, last_training, at=1)
        assert call(40.0, output=tmp_path).stopped
    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, members=1))
    assert call(40.0, output=tmp_path).ensemble == 5
    assert call(40.0).ensemble == 1


@pytest.mark.parametrize(("epochs", "networks"), [(7.9, 1), (8.1, 2), (40.0, 5)])
def test_as_many_are_trained_as_have_enough_epochs(call: Call, epochs: float, networks: int) -> None:
    result = call(epochs)
    assert (result.ensemble, members_of(result.network)) == (networks, networks)
    assert result.recipe.epochs == int(epochs / networks + 1e-6)
    (*_, single) = [trial for trial in result.record.trials if trial.architecture == result.architecture]
    assert result.val_score == single.value
    assert result.parameters == sum(own.numel() for own in result.network.parameters())


def test_each_is_trained_by_itself(call: Call, arrays: Arrays, space: lm.LayeredSpace) -> None:
    result, task = call(12.1), read_given(arrays)
    assert result.ensemble == 3
    for member, network in enumerate(result.network.networks[1:], start=1):
        found = SearchOutcome(result.architecture, None, result.record)
        alone = chosen_child(task, space, found, result.recipe, member * SEEDS_APART)
        fit_child(alone, all_but_test(task), seed=member * SEEDS_APART)
        assert same_weights(network, alone.network)
    right = result.network(task.test.inputs).argmax(dim=1) == task.test.labels
    assert result.test_accuracy == right.double().mean()


def test_all_together_are_within_the_limits(call: Call, tmp_path: Path) -> None:
    one = call(3.9)
    result = call(20.1, max_parameters=2.5 * one.parameters)
    assert (result.ensemble, result.parameters, result.recipe.epochs) == (2, 2 * one.parameters, 10)
    one.export(tmp_path / "one")
    size = (tmp_path / "one" / "model.pt2").stat().st_size
    for times, networks in ((2.0, 1), (2.5, 2)):  # a program of two is larger than two of one
        output = tmp_path / f"{times}"
        assert call(20.1, max_size=times * size, output=output).ensemble == networks
        assert (output / "model.pt2").stat().st_size <= times * size
    assert call(20.1, max_latency=10).ensemble == 1


def test_what_further_networks_may_not_take_is_for_the_search(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageKind, "member_epochs", 50)
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
    call: Call, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, inputs = call(8.1, output=tmp_path / "out"), torch.from_numpy(arrays[0][:, None])
    assert "  ensemble of 2 such networks: " in repr(result)
    program = lm.load(tmp_path / "out")
    assert torch.allclose(program.network(inputs), result.network(inputs), atol=1e-5)
    assert "(ensemble of 2 such networks)" in (tmp_path / "out" / "README.md").read_text()
    (row,) = lm.records.read_results(tmp_path / "out" / "results.json")
    (chosen,) = lm.records.read_architectures(tmp_path / "out" / "architectures.json")
    assert (row.parameters, row.ensemble, chosen.ensemble) == (result.parameters, 2, 2)
    assert read_weights(tmp_path / "out" / chosen.weights).keys() == result.network.state_dict().keys()
    no_search(monkeypatch)
    again = call(8.1, output=tmp_path / "out")
    assert again.to_plain() == result.to_plain()
    assert same_weights(result.network, again.network)


@pytest.mark.parametrize("by", [KeyboardInterrupt, NO_MEMORY], ids=["Ctrl-C", "memory"])
@pytest.mark.filterwarnings("ignore:.* the last training failed .*can't allocate memory")
def test_an_interrupt_or_a_failure_leaves_those_that_were_trained(
    call: Call, by: Any, tmp_path: Path, epoch: float, first_epoch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call(12.1)
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=3, by=by)
        stopped = call(12.1, output=tmp_path / "out")
    assert (stopped.stopped, stopped.ensemble) == (True, 2)
    assert bool(stopped.failure) == (by is NO_MEMORY)
    assert stopped.training_cost.flops == whole.training_cost.flops == 4 * first_epoch + 8 * epoch
    assert same_weights(stopped.network.networks[1], whole.network.networks[1])
    goes_on = call(12.1, output=tmp_path / "out")
    assert (goes_on.stopped, goes_on.ensemble) == (False, 3)
    assert same_weights(goes_on.network, whole.network)


@pytest.mark.parametrize(("broken", "kept"), [((0,), True), ((0, 2), False)])
def test_those_that_diverge_are_left_out(
    call: Call, broken: tuple[int, ...], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call(12.1)
    diverge(monkeypatch, *broken)
    if not kept:
        monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    with pytest.warns(UserWarning, match="the last training diverged") as told:
        result = call(12.1)
    assert [str(one.message).endswith("this network is left out.") for one in told] == [True] * len(broken)
    assert result.ensemble == 3 - len(broken)
    assert result.training_cost.flops == whole.training_cost.flops
    assert all(torch.isfinite(own).all() for own in result.network.parameters())


def test_if_all_diverge_the_network_is_as_the_search_trained_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = call(12.1)
    diverge(monkeypatch, *range(6))
    with pytest.warns(UserWarning, match="the last training diverged") as told:
        result = call(12.1)
    assert str(told[-1].message).endswith("the network is as the search trained it.")
    assert result.ensemble == 1
    assert result.training_cost.flops == whole.training_cost.flops
    assert result.images[0] < whole.images[0]
    monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    with pytest.raises(FailedWorkError, match="give another seed"), pytest.warns(UserWarning, match="left out"):
        call(12.1)


def test_what_an_interrupted_training_took_is_counted(
    call: Call, epoch: float, first_epoch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = last_training.fit_child, count()

    def fit(child: lm.Child, *args: Any, epoch_ended: Callable[[], None], **more: Any) -> lm.Cost:
        member, epochs = next(calls), count(1)

        def ended() -> None:
            epoch_ended()
            if member == 1 and next(epochs) == 3:
                raise KeyboardInterrupt

        return plain(child, *args, epoch_ended=ended, **more)

    monkeypatch.setattr(last_training, "fit_child", fit)
    stopped = call(12.1)
    assert (stopped.stopped, stopped.ensemble) == (True, 1)
    assert stopped.training_cost.flops == 4 * first_epoch + 3 * epoch


def test_all_begin_with_a_start(arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, plain = list[dict[str, torch.Tensor]](), last_training.fit_child

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        begun.append({name: value.clone() for name, value in child.network.state_dict().items()})
        return plain(child, *args, **more)

    monkeypatch.setattr(last_training, "fit_child", fit)
    generator, task = torch.Generator().manual_seed(5), read_given(arrays)
    state = space.supernet((1, 8, 8)).state_dict()
    options = AutoOptions(task, flops=(1e6, 2e6), progress=False)
    variants = InputVariants(task, {}, space, options.limits)
    variants.weights = {name: torch.rand(own.shape, generator=generator) for name, own in state.items()}
    job = Job(options, kind_named("images"), variants, None, None, began=0.0, read_seconds=0.0)
    result = stages.run_stages(job)
    assert result.ensemble == len(begun) > 2
    expected = space.child(result.architecture, (1, 8, 8), 2, variants.weights).state_dict()
    for member in begun[1:]:
        assert same_tensors({**expected, **{k: v for k, v in member.items() if k.startswith("head")}}, member)
