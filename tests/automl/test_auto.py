"""One call: within its budget and limits, repeatable, and interrupted without loss."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import re
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import NO_MEMORY, interrupt, same_weights

import lit_metanas as lm
from lit_metanas.automl.auto import AutoSearch
from lit_metanas.automl.steps import (
    auto_steps,
    beginning,
    budget_planner,
    front_steps,
    last_training,
    output_folder,
    time_plan,
)
from lit_metanas.automl.steps.limits import LimitedSpace, NetworkLimits, Wishes
from lit_metanas.automl.steps.linear_models import LinearModel, LinearModels
from lit_metanas.automl.steps.time_plan import (
    LONGEST_TRAINING,
    Pace,
    front_rungs,
    rungs_of,
    search_flops,
    searched_share,
    shared_epochs,
    trial_epochs,
    writing_seconds,
)
from lit_metanas.automl.steps.views import Views
from lit_metanas.estimators import estimator, training_estimator
from lit_metanas.estimators.estimator import BestSoFar
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.kinds.kind import kind_named
from lit_metanas.records import record_lines
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.records.record_lines import SHIPPED, read_record_lines
from lit_metanas.report.figures.fronts import draw_fronts, draw_tested
from lit_metanas.searchers.halving.proposals import covering
from lit_metanas.searchers.query.ledger import Query

Arrays = tuple[np.ndarray, list[str]]
FLOPS, FLOPS_OF_IMAGES = (3e6, 4e6), (1.5e8, 1.5e8)


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained for three epochs, so that a small budget pays for several."""
    monkeypatch.setattr(time_plan, "STEPS_OF_A_TRIAL", 3)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_network_whose_last_training_diverges_is_as_the_search_trained_it(
    arrays: Arrays, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    plain, calls = last_training.fit_child, []

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        next(child.network.parameters()).data.fill_(torch.nan)
        calls.append(child)
        if stopped and len(calls) == 1:
            raise KeyboardInterrupt
        return cost

    monkeypatch.setattr(last_training, "fit_child", fit)
    task = read_given(arrays)
    assert task.val is not None
    told = r"the last training diverged: the weights '.*' are not finite, .*: the network is as the search trained it\."
    with pytest.warns(UserWarning, match=told):
        result = lm.auto(task, flops=(1.5e8, 2e7), space=lm.LayeredSpace(depths=(1,), widths=(4,)), progress=False)
    right = result.network(task.val.inputs).argmax(dim=1) == task.val.labels
    assert right.double().mean() == result.val_score
    assert result.images == (len(task.train), len(task.test))
    assert result.stopped == stopped


def test_what_is_found_is_within_budget_and_limits(arrays: Arrays) -> None:
    result = lm.auto(arrays, flops=2e8, max_parameters=20_000, max_flops=200_000, max_latency=10, progress=False)
    assert result.parameters <= 20_000
    assert result.flops <= 200_000
    assert 0 < result.latency < 10
    assert result.cost.flops <= 1e8
    assert result.cost.flops + result.training_cost.flops == pytest.approx(2e8, rel=0.15)
    assert result.test_accuracy == 1
    assert result.images == (32, 8)
    assert not result.stopped
    assert {"learning_rate", "weight_decay", "label_smoothing", "augmentation"} == result.record.trials[0].recipe.keys()
    assert len({tuple(trial.recipe.items()) for trial in result.record.trials}) > 1
    told = repr(result)
    assert "latency:" in told
    assert "with 1 thread" in told
    assert f"to repeat it: {result.command}" in told


def test_its_budget_repeats_it(arrays: Arrays, space: lm.LayeredSpace) -> None:
    first = lm.auto(arrays, flops=8e6, space=space, progress=False)
    assert first.budget is not None
    again = lm.auto(arrays, flops=first.budget, space=space, progress=False)
    assert (again.architecture, again.recipe, again.budget) == (first.architecture, first.recipe, first.budget)
    assert same_weights(first.network, again.network)
    # What the search did not spend of its own is in the second number, too.
    assert sum(first.budget) == 8e6 + first.budget[0] - first.cost.flops
    other = lm.auto(arrays, flops=first.budget, space=space, seed=1, progress=False)
    assert not same_weights(first.network, other.network)


@pytest.mark.parametrize("in_memory", [False, True])
def test_its_call_repeats_it_whatever_was_given(
    in_memory: bool, images: Path, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    data = arrays if in_memory else images
    records = () if in_memory else (tmp_path / "other.jsonl",)
    for file in records:
        lm.records.write_record_lines(file, [lm.records.SearchRecord("letters", method="random")])
    given: dict[str, Any] = {"max_parameters": 20_000, "max_latency": "2s", "seed": 3, "space": space}
    given["records"] = records
    group = [str(number // 4) for number in range(40)] if in_memory else r"(\d)"
    flops, told = (FLOPS, "3000000,4000000") if in_memory else (FLOPS_OF_IMAGES, "150000000,150000000")
    first = lm.auto(data, flops=flops, group=group, progress=False, **given)
    what = "data" if in_memory else repr(str(images))
    own = "group=group" if in_memory else r"group='(\\d)'"
    assert first.command == (
        f"lm.auto({what}, flops=[{told}], seed=3, {own}, space=space, max_parameters=20000, "
        f"max_latency='2000ms', records={tuple(map(str, records))})"
    )
    names = {"lm": lm, "data": data, "group": group, "space": space}
    again = eval(first.command.replace("lm.auto(", "lm.auto(progress=False, data=", 1), names)
    assert same_weights(first.network, again.network)
    assert (again.test_score, again.command) == (first.test_score, first.command)


def test_the_card_tells_the_same_call_of_a_search_that_was_stopped_and_of_one_that_is_read_again(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> lm.SearchResult:
        return lm.auto(arrays, flops=(4e6, 2e6), space=space, output=tmp_path / "out", progress=False)

    def told(folder: str) -> str:
        card = (tmp_path / folder / "README.md").read_text()
        return card.partition("- To reproduce:")[2].partition("## Use")[0].strip()

    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1)
        assert call().command == ""
    assert told("out").endswith(", stopped early")
    finished = call()
    assert told("out") == finished.command == "lm.auto(data, flops=[4000000,2000000], seed=0, space=space)"
    call().export(tmp_path / "elsewhere")
    assert told("elsewhere") == finished.command


def test_a_result_knows_its_test_part_until_it_is_copied(arrays: Arrays, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="auto: onnx and int8 are files in the output: give 'output', too"):
        lm.auto(arrays, flops=FLOPS, int8=True)
    small = lm.LayeredSpace(kernels=(3,), depths=(1,), widths=(4,))
    call = partial(lm.auto, arrays, flops=FLOPS, space=small, output=tmp_path / "out", progress=False)
    (found, again), test = (call(), call()), read_given(arrays).test
    assert len(test) == 8
    for one in (found, again):
        assert one.test is not None
        assert torch.equal(one.test.inputs, test.inputs)
        assert "Split" not in repr(one)
    loss = again.export(tmp_path / "eight", int8=True)
    assert loss == found.export(tmp_path / "eight", int8=test)
    assert loss is not None
    assert loss.examples == 8
    assert loss.value == pytest.approx(found.test_score)
    copied = pickle.loads(pickle.dumps(found))
    assert same_weights(copied.network, found.network)
    assert copied.test_score == found.test_score
    with pytest.raises(ValueError, match="a copy, without its test part: give int8 a Split of examples"):
        copied.export(tmp_path / "copied", int8=True)
    with pytest.raises(ValueError, match="int8 must be True or a Split of examples, not tuple"):
        found.export(tmp_path / "copied", int8=arrays)  # type: ignore[arg-type]
    assert not (tmp_path / "copied").exists()


def test_minutes_become_flops_by_a_measured_pace(
    arrays: Arrays, space: lm.LayeredSpace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: Pace(2e6, 0.0, 0.0))
    monkeypatch.setattr(Pace, "averaged", lambda self, trainings, scored: self)
    result = lm.auto(arrays, minutes=0.1, space=space)
    assert result.pace == 2e6
    assert result.budget is not None
    search, training = result.budget
    assert 0 < search < 6e6  # the half of six seconds, less what reading took
    assert result.cost.flops <= search
    assert training * 0.9 < result.training_cost.flops <= training
    assert 0 < training < 12e6  # what the search has left
    told = capsys.readouterr().err
    assert "auto: this machine trains 2e+06 FLOPs a second" in told
    assert "auto: 'arrays': 40 images of 2 classes: 24 to learn from, 8 to choose by, 8 to test." in told
    again = lm.auto(arrays, flops=result.budget, space=space, progress=False)
    assert same_weights(result.network, again.network)


def test_a_machine_that_gets_slower_leaves_the_training_a_share(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces, measured = iter([Pace(2e6, 0.0, 0.0), Pace(5e5, 0.0, 0.0)]), list[Pace]()

    def paced(*args: Any, **more: Any) -> Pace:
        measured.append(next(paces))
        return measured[-1]

    monkeypatch.setattr(budget_planner, "measure_pace", paced)
    monkeypatch.setattr(budget_planner, "perf_counter", lambda: perf_counter() + 60 * (len(measured) > 1))
    monkeypatch.setattr(Pace, "averaged", lambda self, trainings, scored: self)
    result = lm.auto(arrays, minutes=0.2, space=space, progress=False)
    assert result.budget is not None
    seconds = budget_planner.LEAST_TRAINED * result.budget[0] / 2e6
    assert result.training_cost.flops == pytest.approx(5e5 * seconds, rel=0.1)


def test_too_small_a_budget_says_the_least(arrays: Arrays, space: lm.LayeredSpace) -> None:
    with pytest.raises(ValueError, match=r"0.0001 min is too short .*: give 0\.\d minutes or more"):
        lm.auto(arrays, minutes=0.0001, space=space, progress=False)
    with pytest.raises(ValueError, match=r"pay for no epoch of a network on these data: give \d") as told:
        lm.auto(arrays, flops=1e3, space=space, progress=False)
    least = float(str(told.value).split("give ")[1].split(" or")[0])
    with pytest.raises(ValueError, match=r": give \[\d\S*,\d\S*\] or more"):  # as Python and as a command have it
        lm.auto(arrays, flops=(1e3, 1e3), space=space, progress=False)
    assert lm.auto(arrays, flops=least, space=space, progress=False).recipe.epochs >= 1


def test_wishes_are_checked() -> None:
    for minutes, flops in ((1, 1e9), (0, None), (-1.0, None), (float("nan"), None), (None, (1e9, 0.0)), (None, 0.0)):
        with pytest.raises(ValueError, match=r"auto: (give minutes or flops|\w+ = )"):
            Wishes(minutes, flops, seed=0, threads=1, progress=False)
    with pytest.raises(ValueError, match="auto: flops are one number, or two"):
        Wishes(None, (1e6, 1e6, 1e6), seed=0, threads=1, progress=False)  # type: ignore[arg-type]
    for seed in (-1, 2**63, 0.5, "0", None):
        shown = repr(seed) if isinstance(seed, str) else str(seed)
        with pytest.raises(ValueError, match=f"seed = {shown} must be a whole number from 0, below"):
            Wishes(1, None, seed=seed, threads=1, progress=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="minutes = '1' must be a number above 0"):
        Wishes("1", None, seed=0, threads=1, progress=False)  # type: ignore[arg-type]
    for minutes, flops, most in ((1e300, None, r"1e\+06"), (None, 1e40, r"1e\+24"), (None, (1e9, 1e40), r"1e\+24")):
        with pytest.raises(ValueError, match=rf"auto: \w+ = 1e\+\d+ must be at most {most}\."):
            Wishes(minutes, flops, seed=0, threads=1, progress=False)
    told = Wishes(np.float32(2), None, seed=np.int64(3), threads=1, progress=False, records="own.jsonl")
    assert json.dumps([told.minutes, told.seed, told.records]) == '[2.0, 3, ["own.jsonl"]]'
    assert Wishes(None, None, seed=0, threads=1, progress=False).minutes == 10


def test_a_limit_that_nothing_meets_is_told_before_anything_is_trained(
    arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_estimator, "fit_child", lambda *args, **more: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"No network of LayeredSpace is within max_parameters = 10: the nearest has"):
        lm.auto(arrays, flops=2e8, max_parameters=10, progress=False)


def test_where_linear_models_alone_are_within_the_limits_they_are_trained(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(limit: float) -> lm.SearchResult:
        return lm.auto(images, flops=2e7, max_parameters=limit, output=tmp_path / "model")

    with pytest.raises(ValueError, match=r"No network of LayeredSpace .* the nearest has ") as refused:
        call(10)
    smallest, linear = (int(told.replace(",", "")) for told in re.findall(r"has ([\d,]+) param", str(refused.value)))
    assert linear < smallest
    assert str(refused.value).endswith(
        f"the nearest has {linear:,} parameters. Raise max_parameters at least to that of the linear model."
    )
    result = call(linear)
    assert (result.space, result.parameters) == ("LinearSpace", linear)
    assert "Linear models are, so they alone are trained." in capsys.readouterr().err
    again = call(linear)
    assert (again.space, again.test_score) == ("LinearSpace", result.test_score)
    assert "already finished" in capsys.readouterr().err


def test_of_a_table_too_the_nearest_linear_model_is_told() -> None:
    rows = np.random.default_rng(0).random((40, 6)), [0, 1] * 20
    with pytest.raises(
        ValueError, match=r"Nor is a linear model within max_flops = 5: the nearest .*Raise max_flops at least to"
    ):
        lm.auto(rows, flops=1e7, max_flops=5, progress=False)


def test_a_winner_that_turns_out_too_slow_is_not_taken(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)
    checked: list[lm.Architecture] = []

    def check(self: object, architecture: lm.Architecture) -> str | None:
        checked.append(architecture)
        return "it takes 9 ms" if architecture == plain.architecture else None

    monkeypatch.setattr(LimitedSpace, "check", check)
    other = lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)
    assert checked[0] == plain.architecture != other.architecture
    monkeypatch.setattr(LimitedSpace, "check", lambda self, architecture: "it takes 9 ms")
    with pytest.raises(ValueError, match=r"all that was searched is slower now \(it takes 9 ms\)"):
        lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)


@pytest.mark.parametrize("module", [training_estimator, last_training], ids=["search", "training"])
def test_an_interrupted_search_leaves_the_best_so_far_and_goes_on(
    module: Any, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(output: str) -> lm.SearchResult:
        return lm.auto(arrays, flops=(4e6, 2e6), space=space, output=tmp_path / output, progress=False)

    whole = call("whole")
    with monkeypatch.context() as patched:
        interrupt(patched, module, at=3 if module is training_estimator else 1)
        stopped = call("cut")
    assert stopped.stopped
    learned, tested = whole.images
    held_out = len(read_given(arrays).val or ()) if module is training_estimator else 0
    assert stopped.images == (learned - held_out, tested)
    assert repr(stopped).startswith("Stopped early; best so far in")
    assert lm.records.read_results(tmp_path / "cut" / "results.json")[0].stopped
    assert lm.load_exported(tmp_path / "cut").classes == ("bright", "dark")
    kept = len(list((tmp_path / "cut" / "trainings").iterdir()))
    assert kept == (2 if module is training_estimator else len(whole.record.trials))
    plain, trained = training_estimator.fit_child, []

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        trained.append(child.architecture)
        return plain(child, train, **more)

    monkeypatch.setattr(training_estimator, "fit_child", fit)
    goes_on = call("cut")
    assert len(trained) == len(whole.record.trials) - kept
    assert not goes_on.stopped
    assert not lm.records.read_results(tmp_path / "cut" / "results.json")[0].stopped
    assert same_weights(whole.network, goes_on.network)
    assert not (tmp_path / "cut" / "trainings").exists()


def test_a_short_training_after_an_interrupt_of_the_search_leaves_out_the_examples_to_choose_by(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = read_given(arrays)
    plain, learned = last_training.fit_child, []

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        learned.append(train)
        return plain(child, train, **more)

    monkeypatch.setattr(last_training, "fit_child", fit)
    interrupt(monkeypatch, training_estimator, at=3)
    lm.auto(task, flops=(4e6, 1e9), space=space, progress=False)
    (part,) = learned
    assert task.val is not None
    assert not any(torch.equal(one, other) for one in part.inputs for other in task.val.inputs)


@pytest.mark.parametrize("module", [training_estimator, last_training], ids=["search", "training"])
def test_a_short_training_after_an_interrupt_that_makes_it_worse_is_undone(
    module: Any, arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = read_given(arrays)
    assert task.val is not None
    whole = lm.auto(task, flops=(4e6, 2e6), space=space, progress=False)
    plain, trained = last_training.fit_child, []

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        cost = plain(child, train, **more)
        trained.append(child)
        if module is last_training and len(trained) == 1:
            raise KeyboardInterrupt
        for parameter in child.network.parameters():
            parameter.data.zero_()
        return cost

    monkeypatch.setattr(last_training, "fit_child", fit)
    if module is training_estimator:
        interrupt(monkeypatch, module, at=3)
    stopped = lm.auto(task, flops=(4e6, 2e6), space=space, progress=False)
    assert stopped.stopped
    right = stopped.network(task.val.inputs).argmax(dim=1) == task.val.labels
    assert right.double().mean() == 1  # zeros say one class for all
    if module is training_estimator:
        assert stopped.val_score == 1
        assert stopped.images == (len(task.train), len(task.test))
    else:
        assert same_weights(stopped.network, whole.network)


def test_where_the_last_training_fails_the_network_is_as_the_search_trained_it(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = partial(lm.auto, read_given(arrays), flops=(4e6, 2e6), space=space, progress=False)
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1, by=NO_MEMORY)
        told = r"the last training failed \(RuntimeError: .* can't allocate memory\): the best so far is taken\.$"
        with pytest.warns(UserWarning, match=told):
            found = call(output=tmp_path)
    assert found.stopped
    assert found.val_score == whole.val_score
    assert found.images == (24, 8)  # not the validation part
    assert "can't allocate memory" in repr(found)
    inputs = torch.from_numpy(arrays[0][:, None])
    assert torch.allclose(lm.load_exported(tmp_path).network(inputs), found.network(inputs), atol=1e-5)
    assert same_weights(call(output=tmp_path).network, whole.network)
    interrupt(monkeypatch, last_training, at=1, by=NO_MEMORY)
    monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    with pytest.warns(UserWarning, match=told), pytest.raises(FailedWorkError, match="the search kept no weights"):
        call()


def test_where_memory_is_short_after_an_interrupt_the_network_is_as_the_search_trained_it(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[BaseException] = [KeyboardInterrupt(), MemoryError("no memory")]

    def fail(*args: Any, **more: Any) -> None:
        raise faults.pop(0)

    monkeypatch.setattr(last_training, "fit_child", fail)
    found = lm.auto(read_given(arrays), flops=(4e6, 2e6), space=space, progress=False)
    assert (found.stopped, found.failure, faults) == (True, "", [])
    assert found.training_cost.flops == 0


@pytest.mark.parametrize("part", ["write_report", "write_results"])
def test_a_full_disk_at_the_end_does_not_lose_the_result(
    part: str, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    call = partial(lm.auto, arrays, flops=FLOPS, space=space, output=tmp_path, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(output_folder, part, fail)
        with pytest.warns(UserWarning, match=r"is incomplete \(.*No space left on device.*\): free some space"):
            found = call()
    inputs = torch.from_numpy(arrays[0][:, None])
    assert torch.allclose(lm.load_exported(tmp_path).network(inputs), found.network(inputs), atol=1e-5)
    assert same_weights(call().network, found.network)
    assert (tmp_path / "report").is_dir()


def test_an_interrupt_before_any_network_is_passed_on(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, training_estimator, at=1)
    with pytest.raises(KeyboardInterrupt, match="before any network"):
        lm.auto(arrays, flops=2e7, space=space, output=tmp_path / "out", progress=False)


def test_minutes_are_divided_once_for_all_continuations(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: Pace(1e6, 0.0, 0.0))
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1)
        lm.auto(arrays, minutes=0.2, space=space, output=tmp_path / "out", progress=False)
    plan = json.loads((tmp_path / "out" / "auto.json").read_text())["plan"]
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: pytest.fail("measured again"))
    result = lm.auto(arrays, minutes=0.2, space=space, output=tmp_path / "out", progress=False)
    assert result.budget == (plan["search"], plan["training"])


def test_the_folder_has_all_and_a_finished_search_is_not_done_again(
    images: Path, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    result = lm.auto(images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {
        "model.pt2", "weights.pt", "model.json", "auto.json", "results.json", "architectures.json", "records.jsonl",
        "predictions.json", "report", "predict.py", "README.md",
    }  # fmt: skip
    assert "accuracy" in (folder / "report" / "report.md").read_text()
    assert lm.records.read_results(folder / "results.json")[0].value == result.test_score
    monkeypatch.setattr(auto_steps.AutoSteps, "result", lambda self: pytest.fail("done again"))
    again = lm.auto(images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)
    assert same_weights(result.network, again.network)
    assert repr(again).splitlines()[:5] == repr(result).splitlines()[:5]
    assert (again.budget, again.latency, again.recipe) == (result.budget, result.latency, result.recipe)
    assert again.training_cost == result.training_cost
    assert again.val_score == result.val_score
    for name, told in (
        ("weights.pt", "There is no weights file '.*'"),
        ("results.json", "There is no file '.*results.json'"),
        ("records.jsonl", "There is no file '.*records.jsonl'"),
    ):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(ValueError, match=f"{told}.*: delete the folder, or give another 'output'"):
            lm.auto(images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=f"{name}' .*: delete the folder, or give another 'output'"):
            lm.auto(images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)
        (folder / name).write_bytes(content)
    whole = (folder / "results.json").read_text()
    for changed, told in (
        (whole.replace('"learning_rate": ', '"learning_rate": -'), "learning_rate is -.*; it must be at least 0"),
        (whole.replace('"learning_rate"', '"rate"'), "'rate'"),
        (
            json.dumps({**json.loads(whole), "results": []}),
            "'results.json' and 'records.jsonl' do not tell of one search",
        ),
    ):
        (folder / "results.json").write_text(changed)
        with pytest.raises(ValueError, match=f"finished search that cannot be read .*{told}.*: delete the folder"):
            lm.auto(images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)


def test_what_a_killed_process_has_left_is_removed(arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path) -> None:
    def call() -> lm.SearchResult:
        return lm.auto(arrays, flops=(4e6, 2e6), space=space, output=folder, progress=False)

    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".auto.json.abcd1234.part").write_text('{"sett')  # killed while the first file was written
    (folder / ".keep.part").write_text("another's")
    first = call()
    assert sorted(path.name for path in folder.rglob("*.part")) == [".keep.part"]
    (folder / "trainings").mkdir()  # killed before these were removed
    (folder / "report" / ".report.md.abcd1234.part").write_text("half")
    again = call()
    assert same_weights(first.network, again.network)
    assert not (folder / "trainings").exists()
    assert sorted(path.name for path in folder.rglob("*.part")) == [".keep.part"]


def test_a_folder_in_use_or_of_something_else_is_refused(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    lm.auto(arrays, flops=FLOPS, space=space, output=tmp_path / "out", progress=False)
    with pytest.raises(ValueError, match=r"holds the result of other data or settings \(.+\)"):
        lm.auto(arrays, flops=FLOPS, space=space, max_parameters=1000, output=tmp_path / "out", progress=False)
    write = partial(lm.records.write_record_lines, tmp_path / "others.jsonl")
    write([lm.records.SearchRecord("one")])
    given = {"flops": FLOPS, "space": space, "records": [str(tmp_path / "others.jsonl")], "progress": False}
    lm.auto(arrays, output=tmp_path / "told", **given)
    write([lm.records.SearchRecord("two")])
    with pytest.raises(ValueError, match="holds the result of other data"):
        lm.auto(arrays, output=tmp_path / "told", **given)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="holds other files: give an 'output' that is empty or new"):
        lm.auto(arrays, flops=FLOPS, space=space, output=tmp_path / "mine", progress=False)
    (tmp_path / "out" / "auto.json").write_text("{")
    with pytest.raises(ValueError, match=r"auto.json' .*: delete the folder, or give another 'output'"):
        lm.auto(arrays, flops=FLOPS, space=space, output=tmp_path / "out", progress=False)


def test_what_is_refused_leaves_no_trace(arrays: Arrays, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give two or more classes"):
        lm.auto((arrays[0], ["one"] * 40), flops=FLOPS, output=tmp_path / "new" / "out", progress=False)
    with pytest.raises(ValueError, match="the FLOPs pay for no epoch"):
        lm.auto(arrays, flops=1, output=tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="holds other files"):
        lm.auto(images, flops=FLOPS, output=images, progress=False)
    for output in (images / "model", tmp_path / "new" / ".." / "images" / "dark" / "model"):
        with pytest.raises(
            ValueError, match=r"would lie in the data, '.*images', and may be read .*: give another output="
        ):
            lm.auto(images, flops=FLOPS, output=output, progress=False)
    assert sorted(path.name for path in images.iterdir()) == ["bright", "dark"]


def test_an_output_that_is_a_file_is_refused(arrays: Arrays, tmp_path: Path) -> None:
    (tmp_path / "wine.csv").write_text("")
    for output in (tmp_path / "wine.csv", tmp_path / "wine.csv" / "out"):
        with pytest.raises(ValueError, match=r"wine.csv\S*', where a file is: give the path of a folder\."):
            lm.auto(arrays, flops=FLOPS, output=output, progress=False)


def test_a_kind_that_data_in_memory_are_not_is_refused(arrays: Arrays) -> None:
    with pytest.raises(ValueError, match="The data are of the kind 'images', not 'rows': leave 'kind' out"):
        lm.auto(arrays, kind="rows", flops=1e8, progress=False)


def test_three_images_a_class_are_enough(arrays: Arrays, space: lm.LayeredSpace) -> None:
    X, y = arrays
    result = lm.auto((X[:6], y[:6]), flops=(2e5, 2e5), space=space, progress=False)
    assert result.images == (4, 2)
    with pytest.raises(
        ValueError, match=r"has 0 classes of 3 examples or more, too few to learn from: add some of 'bri"
    ):
        lm.auto((X[:4], y[:4]), flops=FLOPS, space=space, progress=False)


@pytest.mark.parametrize(("others", "tried"), [((0.9, 0.2), 1), ((0.1, 0.9), 2)])
def test_records_of_other_tasks_decide_how_many_networks_are_tried(
    arrays: Arrays,
    space: lm.LayeredSpace,
    tmp_path: Path,
    others: tuple[float, float],
    tried: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = torch.Generator().manual_seed(0)
    two = [space.sample(generator) for _ in range(2)]
    recipes = [{"learning_rate": rate, "weight_decay": 0.1, "label_smoothing": 0.1} for rate in (0.003, 0.03)]
    records = [
        lm.records.SearchRecord(
            name, [lm.records.Trial(two[n], scores[n], lm.Cost(flops=7), recipe=recipes[n]) for n in (0, 1)]
        )
        for name, scores in (("one", (0.8, 0.3)), ("two", others))
    ]
    lm.records.write_record_lines(tmp_path / "others.jsonl", records)
    known = [str(tmp_path / "others.jsonl")]
    result = lm.auto(arrays, flops=6e6, space=space, records=known)
    single = "auto: trains one network, without a search: it was the best on 2 of 2 tasks of images in the records.\n"
    assert (single in capsys.readouterr().err) == (tried == 1)
    trials = result.record.trials
    assert [trial.architecture for trial in trials[:tried]] == two[:tried]
    assert [trial.recipe for trial in trials[:tried]] == [{**one, "augmentation": "none"} for one in recipes[:tried]]
    assert (len(trials) == 1) == (tried == 1)  # to two that each do well somewhere mutants are added
    assert result.meta_cost.flops == 14
    assert (result.cost.flops < result.training_cost.flops / 4) == (tried == 1)
    assert result.cost.flops + result.training_cost.flops == pytest.approx(6e6, rel=0.2)


def test_the_page_tells_what_the_shipped_records_say_of_images(arrays: Arrays) -> None:
    task = lm.task_from_arrays(np.random.default_rng(0).random((20, 3, 32, 32)), arrays[1][:20])
    kind, wishes = kind_named("images"), Wishes(None, 1e12, seed=0, threads=1, progress=False)
    begun = beginning.beginning_of(Views(task, {}, kind.space(task.shape, task.goal), NetworkLimits()), kind, wishes)
    assert begun.share == 0
    page = Path(__file__).parents[2] / "docs" / "tutorials" / "ten_minutes.md"
    assert begun.reason.removesuffix(" in the records") in " ".join(page.read_text().split())


def test_records_that_do_not_tell_of_augmentation_are_of_trainings_without(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    two = [space.sample(generator) for _ in range(2)]
    told: list[dict[str, float | int | str | bool]] = [{"augmentation": "light"}, {}]

    def tried(second: dict[str, float | int | str | bool], others: tuple[float, float]) -> list[lm.records.Trial]:
        told[1] = second
        records = [
            lm.records.SearchRecord(
                name, [lm.records.Trial(two[n], scores[n], lm.Cost(flops=7), recipe=told[n]) for n in (0, 1)]
            )
            for name, scores in (("one", (0.9, 0.3)), ("two", others))
        ]
        lm.records.write_record_lines(tmp_path / "others.jsonl", records)
        known = [str(tmp_path / "others.jsonl")]
        return lm.auto(arrays, flops=6e6, space=space, records=known, progress=False).record.trials

    old, new = tried({}, (0.1, 0.8)), tried({"augmentation": "none"}, (0.1, 0.8))
    assert [trial.recipe["augmentation"] for trial in old[:2]] == ["light", "none"]
    queries = [Query.of(trial.architecture, trial.recipe) for trial in old]
    assert queries == [Query.of(trial.architecture, trial.recipe) for trial in new]
    assert len(set(queries)) == len(queries)


def test_the_chosen_augmentation_is_told_wherever_the_recipe_is(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    only = {"augmentation": ["strong"], "learning_rate": [1e-2]}
    monkeypatch.setattr(ImageKind, "recipes", lambda self, objective: only)

    def call() -> lm.SearchResult:
        given = {"space": space, "records": (), "output": folder, "progress": False}
        return lm.auto(arrays, flops=FLOPS, **given)

    def better(child: lm.Child, *args: Any) -> float:
        return float(child.recipe.augmentation == "strong")

    monkeypatch.setattr(training_estimator, "score", better)
    found = call()
    assert {trial.recipe["augmentation"] for trial in found.record.trials} == {"none", "strong"}
    assert found.recipe.augmentation == "strong"
    (row,), (record,) = (
        lm.records.read_results(folder / "results.json"),
        lm.records.read_record_lines(folder / "records.jsonl"),
    )
    assert row.recipe["augmentation"] == "strong"
    assert record.best.recipe["augmentation"] == "strong"
    card = (folder / "README.md").read_text()
    assert f"Recipe of the last training: epochs={found.recipe.epochs}, " in card
    assert "augmentation=strong; it began with the weights that the search had trained" in card
    assert "inherit" not in card
    again = call()
    assert again.recipe == found.recipe
    assert same_weights(again.network, found.network)


@pytest.mark.parametrize("name", ["shipped", "shipped-episodes"])
def test_other_records_of_the_package_are_another_search(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wishes = Wishes(None, FLOPS, seed=0, threads=1, progress=False, records=[name])
    search = AutoSearch(arrays, None, None, space, wishes, NetworkLimits(), None, None)
    views = Views(read_given(arrays), {}, space, NetworkLimits())
    before = search._settings(views, None)
    assert before == search._settings(views, None)
    (tmp_path / "new.jsonl").write_text("{}")
    monkeypatch.setitem(record_lines._SHIPPED_FILES, name, tmp_path / "new.jsonl")
    assert search._settings(views, None) != before


def test_a_budget_is_not_exceeded_and_a_list_is_a_pair(arrays: Arrays, space: lm.LayeredSpace) -> None:
    for flops in (6e6, 7e6, 1e7):
        result = lm.auto(arrays, flops=flops, space=space, progress=False)
        assert result.cost.flops + result.training_cost.flops <= flops
    assert Wishes(None, [1e9, 2e9], seed=0, threads=1, progress=False).flops == (1e9, 2e9)  # type: ignore[arg-type]
    assert (result.record.method, result.record.seed) == ("auto", 0)


def test_texts_get_a_network_for_texts(texts: Path) -> None:
    result = lm.auto(texts, flops=3e8, progress=False)
    assert result.space == "SequenceSpace"
    (best,) = covering(read_record_lines(SHIPPED), lm.default_space(result.shape), 1)
    assert result.record.trials[0].architecture == best.architecture
    usual = {"augmentation": "none", "preprocessing": "words"}
    assert result.record.trials[0].recipe == {**dict(best.recipe), **usual}
    assert result.meta_cost.flops > 0
    assert set(result.predict(["fold this"])[0]) == {"cut", "fold"}


def test_names_are_told_apart_by_their_characters() -> None:
    stems = ["".join(letters) for letters in product("bdf", "aeiou", "lmn")]
    names = [stem + ending for stem in stems for ending in ("kka", "sson")]
    result = lm.auto((names, ["Finnish", "Swedish"] * len(stems)), flops=1e9, progress=False)
    assert result.test_accuracy > 0.9
    assert next(iter(result.predict(["Virtasson"])[0])) == "Swedish"


def test_candidates_grow_with_the_budget() -> None:
    numbers = [sum(rungs_of(trials, 1.0)) for trials in (0.2, 0.5, 1, 2, 7, 14, 133, 1333)]
    assert numbers[:3] == [1, 1, 1]
    assert numbers == sorted(numbers)
    assert rungs_of(14, 1.0) == (6, 4, 4)
    assert rungs_of(2, 1.0) == (2,)
    assert 30 < numbers[-2] < 60
    assert all(min(rungs_of(trials, 1.0)) >= 1 for trials in range(1, 200))
    assert trial_epochs(10, 50) == 3
    assert sum(rungs_of(1e24, 1.0)) <= time_plan.MOST_TRIALS + time_plan.LATER_RUNGS


def planner_of(minutes: float | None, flops: float | None, *, gone: float = 0.0) -> budget_planner.BudgetPlanner:
    """Of a table, a small network first and one of a hundred times as many multiply-adds."""
    rows = np.random.default_rng(0).random((1000, 10))
    task, space = lm.task_from_arrays(rows, [0, 1] * 500), lm.MLPSpace(depths=(0, 2), widths=(64,))
    views = Views(task, {}, space, NetworkLimits())
    both = [next(one for one in space.architectures() if one["depth"] == depth) for depth in ("0", "2")]
    return budget_planner.BudgetPlanner(
        views,
        Wishes(minutes, flops, seed=0, threads=1, progress=True),
        None,
        networks=both,
        recipe=lm.Recipe(),
        share=0.5,
        began=perf_counter() - gone,
        reading=0.0,
    )


def test_a_single_network_is_not_searched_for_as_long_as_a_larger_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = planner_of(1.0, None)
    small, large = (planner.usual_epoch(one) for one in planner.networks)
    pace = Pace(flops=large / 100, building=0.0, scoring=0.0)  # an epoch of the large one takes 100 s of 60
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: pace)
    plan = planner.plan(rungs_of)  # which was refused: "1 min is too short: give 0.1 minutes or more"
    assert small <= plan.search <= 1.01 * small + 1
    assert plan.expected > 50 * pace.flops


def test_reading_that_takes_most_of_the_minutes_is_told_before_the_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: Pace(1e9, 0.0, 0.0))
    planner_of(0.5, None, gone=12).plan(rungs_of)
    assert "starting and reading" not in capsys.readouterr().err
    planner_of(0.5, None, gone=18).plan(rungs_of)
    assert "auto: starting and reading the data took 18 s of 30 s, which leaves little" in capsys.readouterr().err


def test_flops_that_hide_an_epoch_in_their_last_digit_are_no_small_budget() -> None:
    plan = planner_of(None, 1e24).plan(rungs_of)
    assert plan.search == 1e24


def test_a_search_takes_the_seconds_that_it_was_given() -> None:
    pace = Pace(flops=1e9, building=0.05, scoring=0.001)
    for seconds in (1.0, 10.0, 100.0):
        flops = search_flops(seconds, pace, trial=3e8, scored=50)
        taken = flops / 1e9 + sum(rungs_of(flops, 3e8)) * 0.1
        assert seconds - 0.2 <= taken <= 1.01 * seconds


def test_a_pace_is_averaged_with_that_of_earlier_trainings() -> None:
    pace = Pace(flops=4e9, building=0.5, scoring=0.01)
    costs = [lm.Cost(flops=int(4e9), seconds=5.5), lm.Cost(flops=int(4e9), seconds=5.5)]  # 1.5 s of each beside
    assert pace.averaged(costs, scored=100).flops == pytest.approx(1 / (0.5 / 4e9 + 0.5 / 1e9))
    assert pace.averaged([], scored=100) == pace
    assert pace.averaged([lm.Cost(flops=int(4e9), seconds=1.0)], scored=100) == pace


def test_a_training_has_no_more_epochs_than_help() -> None:
    assert searched_share(100, epoch=1, trial=3) == 50
    assert searched_share(1000, epoch=1, trial=3) == 800
    assert searched_share(100, epoch=1, trial=26) == 1  # a single candidate is not compared
    assert searched_share(100, epoch=1, trial=3, share=0.0) == 1
    assert searched_share(1000, epoch=1, trial=3, share=0.0) == 800


@pytest.mark.parametrize("steps", [20, 1000])
def test_a_linear_candidate_has_no_more_epochs_than_help_or_than_others_have(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 8, generator=generator)
    epochs: dict[str, list[int]] = {"0": [], "2": []}
    train = TrainingEstimator.__call__

    def counted(
        self: TrainingEstimator, architecture: lm.Architecture, *, fidelity: float, **others: Any
    ) -> lm.estimators.Score:
        epochs[architecture["depth"]].append(round(fidelity * self.recipe.epochs))
        return train(self, architecture, fidelity=1 / self.recipe.epochs, **others)

    limits: list[tuple[float, float]] = []
    limit = auto_steps.AutoSteps._most_epochs

    def noted(self: auto_steps.AutoSteps, plan: time_plan.BudgetPlan) -> int:
        each = plan.search / sum(rungs_of(plan.search, self.planner.trial))
        costs = [self.planner.usual_epoch(architecture) for architecture in self.beginning.networks]
        limits.append((each, fmean(costs)))
        return limit(self, plan)

    monkeypatch.setattr(time_plan, "STEPS_OF_A_TRIAL", steps)
    monkeypatch.setattr(TrainingEstimator, "__call__", counted)
    monkeypatch.setattr(auto_steps.AutoSteps, "_most_epochs", noted)
    labels = (rows[:, 0] > 0).long().tolist()
    space = lm.MLPSpace(depths=(0, 2), widths=(64,))
    lm.auto((rows.numpy(), labels), flops=(steps * 5e6, 1e6), space=space, progress=False)
    average = beginning.TIMED_NETWORKS * max(epochs["2"])  # at most, where all but one of these are linear
    assert LONGEST_TRAINING <= max(epochs["0"]) <= max(LONGEST_TRAINING, average)
    ((flops, epoch),) = limits
    assert max(epochs["0"]) == max(LONGEST_TRAINING, int(flops / epoch))
    assert (max(epochs["2"]) > LONGEST_TRAINING) == (steps == 1000)


def test_a_linear_network_is_not_trained_for_as_many_flops_as_a_deep_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    given = rows.numpy(), (rows[:, 0] > 0).long().tolist()
    train = TrainingEstimator.__call__

    def linear_first(self: TrainingEstimator, architecture: lm.Architecture, **others: Any) -> lm.estimators.Score:
        return replace(train(self, architecture, **others), value=float(architecture.get("depth") == "0"))

    number: list[int] = []
    best = LinearModels.best

    def counted(self: LinearModels, step: int) -> LinearModel | None:
        number.append(step)
        limit = budget_planner.MOST_TRAINED * LONGEST_TRAINING * 2 * 3 * 8 * 48  # of the network alone
        assert step > self.affordable(limit, beside=0.0)
        return best(self, step)

    monkeypatch.setattr(LinearModels, "best", counted)
    monkeypatch.setattr(TrainingEstimator, "__call__", linear_first)
    compared = lm.auto(given, flops=2e7, progress=False)
    assert compared.budget is not None
    assert compared.budget[1] < 2e7 - compared.cost.flops
    repeated = lm.auto(given, flops=compared.budget, progress=False)
    assert number == 2 * number[:1]
    assert same_weights(compared.network, repeated.network)
    space = lm.MLPSpace(depths=(0, 2), widths=(256,))
    result = lm.auto(given, flops=1e9, space=space, progress=False)
    assert result.architecture["depth"] == "0"
    assert result.training_cost.steps == budget_planner.MOST_TRAINED * LONGEST_TRAINING  # one step an epoch
    again = lm.auto(given, flops=result.budget, space=space, progress=False)
    assert same_weights(result.network, again.network)


def test_less_than_an_epoch_after_the_search_is_an_epoch(arrays: Arrays, space: lm.LayeredSpace) -> None:
    result = lm.auto(arrays, flops=(3e6, 1.0), space=space, progress=False)
    assert result.recipe.epochs == 1


def test_the_best_so_far_is_remembered_under_all_recipes(arrays: Arrays, space: lm.LayeredSpace) -> None:
    class Scores(lm.estimators.Estimator):
        rate = 0.0

        def __call__(self, architecture: lm.Architecture, *, fidelity: float, start: Any = None) -> lm.estimators.Score:
            return lm.estimators.Score(self.rate, lm.Cost(queries=1, flops=10), {"one": torch.tensor(self.rate)})

        def cost(self, architecture: lm.Architecture, fidelity: float) -> lm.Cost:
            return lm.Cost(queries=1)

        def with_recipe(self, changes: Any) -> lm.estimators.Estimator:
            other = Scores()
            other.rate = float(changes["learning_rate"])
            return other

    best = BestSoFar(Scores(), "toy")
    assert best.outcome is None
    one = space.sample(torch.Generator().manual_seed(0))
    for rate in (0.1, 0.3, 0.2):
        best.with_recipe({"learning_rate": rate})(one, fidelity=1.0)
    outcome = best.outcome
    assert outcome is not None
    assert outcome.recipe == {"learning_rate": 0.3}
    assert outcome.weights is not None
    assert float(outcome.weights["one"]) == pytest.approx(0.3)
    assert [trial.cost.flops for trial in outcome.record.trials] == [10, 20, 30]


def test_export_takes_longer_where_steps_are_written_or_read_one_by_one() -> None:
    part = lm.Split(torch.ones(4, 30, dtype=torch.int64), torch.tensor([0, 1, 0, 1]))
    task, pace = lm.Task("toy", 2, part, part, part, vocabulary=9), Pace(1e9, 0.0, 0.0, waiting=2.0)
    one, other = (lm.Architecture({"operation": label}) for label in ("conv_3", "gru"))
    assert writing_seconds(task, one, pace) == pytest.approx(3.0)
    assert writing_seconds(task, other, pace) == pytest.approx(2 * (1.5 + 30 * 0.1))


def front_of(arrays: Arrays, space: lm.LayeredSpace, **more: Any) -> lm.SearchResult:
    given: dict[str, Any] = {"flops": (6e6, 6e6), "pareto": "parameters", **more}
    return lm.auto(arrays, space=space, progress=False, **given)


def test_a_front_goes_from_small_networks_to_the_best(arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path) -> None:
    found = front_of(arrays, space, output=tmp_path / "out", max_parameters=600)
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
        assert lm.load_exported(folder / name).architecture == one.architecture.to_json()
    assert "in the folder front" in (tmp_path / "out" / "README.md").read_text()
    again = front_of(arrays, space, output=tmp_path / "out", max_parameters=600)
    assert repr(again).splitlines()[-len(sizes) - 2 :] == told[-len(sizes) - 2 :]
    assert (again.training_cost, again.latency) == (found.training_cost, found.latency)
    assert all(same_weights(a.network, b.network) for a, b in zip(again.front, found.front, strict=True))
    repeated = front_of(arrays, space, flops=found.budget, max_parameters=600)
    assert [(one.architecture, one.test_score, one.recipe) for one in repeated.front] == [
        (one.architecture, one.test_score, one.recipe) for one in found.front
    ]


def test_a_network_of_a_front_whose_training_fails_is_left_out(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = front_of(arrays, space)
    interrupt(monkeypatch, last_training, at=1, by=NO_MEMORY)
    with pytest.warns(UserWarning, match="the last training failed .*: this network is left out"):
        found = front_of(arrays, space)
    assert not found.stopped
    kept, before = [[one.architecture for one in each.front] for each in (found, whole)]
    assert kept
    assert set(kept) == {*before} - {whole.architecture}


def test_a_front_that_goes_on_leaves_no_networks_of_the_one_that_was_stopped(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = output_folder.OutputFolder.write

    def write(folder: output_folder.OutputFolder, *args: Any, **more: Any) -> None:
        (folder.path / "front" / "1-20000-parameters").mkdir(parents=True)
        plain(folder, *args, **more)

    monkeypatch.setattr(output_folder.OutputFolder, "write", write)
    found = front_of(arrays, space, output=tmp_path / "out")
    folders = [path.name for path in (tmp_path / "out" / "front").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(found.front_names)


def test_what_the_budget_did_not_pay_for_is_told_again(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = auto_steps.AutoSteps.result
    monkeypatch.setattr(auto_steps.AutoSteps, "result", lambda self: replace(plain(self), untried=3))
    calls = [lm.auto(arrays, flops=FLOPS, space=space, output=tmp_path / "out", progress=False) for _ in range(2)]
    assert [one.untried for one in calls] == [3, 3]


@pytest.mark.parametrize("kept", [True, False])
def test_a_network_of_a_front_may_diverge(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    plain, calls = last_training.fit_child, []

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        calls.append(child)
        if len(calls) == 2:
            next(child.network.parameters()).data.fill_(torch.nan)
        return cost

    def search() -> lm.SearchResult:
        return front_of(arrays, space, output=tmp_path / "out")

    monkeypatch.setattr(last_training, "fit_child", fit)
    if not kept:
        monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    with pytest.warns(UserWarning, match="as the search trained it" if kept else "this network is left out"):
        found = search()
    trained = [one.images[0] for one in found.front]
    assert (min(trained) < max(trained)) == kept
    assert len(found.front) == len(calls) - (not kept)
    assert [one.images for one in search().front] == [one.images for one in found.front]


def test_an_interrupted_front_has_what_was_trained(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_steps.FrontHalving, "_front", lambda self, contenders, size, found: (
        replace(found, architecture=contenders[-1].architecture, weights=None),
        found,
    ))  # fmt: skip
    whole = front_of(arrays, space)
    assert len(whole.front) == 2
    for at in (1, 2):
        with monkeypatch.context() as patched:
            interrupt(patched, last_training, at=at)
            stopped = front_of(arrays, space)
        assert stopped.stopped
        assert stopped.architecture == whole.architecture
        assert len(stopped.front) == 1


def test_a_latency_is_told_with_its_batch_and_threads(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(network: torch.nn.Module, shape: tuple[int, ...], batch: int) -> float:
        return 1e-6 * batch * sum(weights.numel() for weights in network.parameters())

    for module in ("estimators.estimator", "automl.steps.auto_steps"):
        monkeypatch.setattr(f"lit_metanas.{module}.latency", timed)
    given: dict[str, Any] = {"pareto": "latency", "max_latency": 1, "output": tmp_path / "out"}
    (found, again) = (front_of(arrays, space, latency_batch=4, **given) for _ in range(2))
    for one in (found, *found.front, again, *again.front):
        assert one.latency_batch == 4
        assert one.latency == pytest.approx(4e-6 * one.parameters)
        assert f"  latency: {1e3 * one.latency:.3g} ms for 4 inputs at once, with 1 thread\n" in repr(one)
    assert "latency_batch=4" in found.command
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| latency | {1e3 * found.latency:.3g} ms for 4 inputs at once, with 1 thread |" in card
    assert "trade accuracy against the latency of 4 inputs at once, from " in card
    assert "| latency of 4 inputs at once, ms |" in (tmp_path / "out" / "front" / "front.md").read_text()
    (record,) = read_record_lines(tmp_path / "out" / "records.jsonl")
    assert {name for trial in record.trials for name in trial.measures} == {"latency_4"}
    assert draw_tested(found).axes[0].get_xlabel() == "milliseconds for 4 inputs at once"
    assert draw_fronts(lm.records.read_results(tmp_path / "out" / "results.json")).axes[0].get_xlabel() == (
        "milliseconds for 4 inputs at once"
    )
    with pytest.raises(ValueError, match=r"holds the result of other data or settings \(limits\)"):
        front_of(arrays, space, **given)


def test_a_batch_that_does_not_fit_is_told_before_anything_is_trained(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> lm.SearchResult:
        return lm.auto(arrays, flops=(3e6, 1e6), space=space, latency_batch=999, progress=False)

    plain, fits = estimator.blank_inputs, [True]

    def inputs(examples: int, shape: tuple[int, ...]) -> torch.Tensor:
        if examples == 999 and not fits[0]:
            raise RuntimeError("can't allocate memory")
        return plain(1, shape)

    monkeypatch.setattr(estimator, "blank_inputs", inputs)
    with monkeypatch.context() as patched:
        told = last_training.fit_child

        def fit(*args: Any, **more: Any) -> lm.Cost:
            fits[0] = False
            return told(*args, **more)

        patched.setattr(last_training, "fit_child", fit)
        with pytest.warns(UserWarning, match=r"The latency of the network is not known: latency_batch = 999: "):
            found = call()
    assert math.isnan(found.latency)
    assert "latency: " not in repr(found)
    monkeypatch.setattr(training_estimator, "fit_child", lambda *args, **more: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"latency_batch = 999: .* \(RuntimeError: can't alloc.*\): give fewer"):
        call()


@pytest.mark.slow
def test_a_front_can_be_of_multiply_adds_or_latency(arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path) -> None:
    found = front_of(arrays, space, pareto="flops")
    assert [one.flops for one in found.front] == sorted(one.flops for one in found.front)
    timed = front_of(arrays, space, pareto="latency", output=tmp_path / "out")
    assert [one.latency for one in timed.front] == sorted(one.latency for one in timed.front)
    assert timed.front_names[0].endswith("us")
    assert timed.traded == "latency"
    assert "none that is as fast and" in (tmp_path / "out" / "front" / "front.md").read_text()
    with pytest.raises(ValueError, match="no front can be made for pareto = 'shoes': give parameters, flops or lat"):
        front_of(arrays, space, pareto="shoes")


def test_small_networks_of_a_front_have_more_epochs() -> None:
    epochs = shared_epochs([100.0, 1.0], 1000.0)
    assert epochs[1] == pytest.approx(10 * epochs[0], abs=10)
    assert 900 <= 100 * epochs[0] + epochs[1] <= 1000
    assert shared_epochs([100.0, 1.0], 1e9) == [LONGEST_TRAINING, LONGEST_TRAINING]
    assert shared_epochs([100.0, 50.0, 1.0], 120.0) == [1]
    assert shared_epochs([100.0], 10.0) == [1]


def test_a_search_for_a_front_begins_with_half_of_its_candidates() -> None:
    assert front_rungs(1.0, 1.0) == (1,)
    assert front_rungs(7.0, 1.0) == (4, 2, 1)
    assert sum(front_rungs(28.0, 1.0)) == sum(rungs_of(28.0, 1.0))
