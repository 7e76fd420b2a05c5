"""How minutes or FLOPs are divided, and how fast a machine is."""

import json
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import paced, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_division, budget_plan
from lit_metanas.automl.budget_division import divide, search_flops, search_part
from lit_metanas.automl.budget_plan import SHARES, BudgetPlan
from lit_metanas.automl.front import shared_epochs
from lit_metanas.automl.job import Job
from lit_metanas.automl.known import Known
from lit_metanas.automl.options import AutoOptions
from lit_metanas.automl.search_setup import SearchSetup
from lit_metanas.estimators.input_variants import InputVariants
from lit_metanas.estimators.limits import NetworkLimits
from lit_metanas.estimators.pace import Pace
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.kinds.kind import kind_named
from lit_metanas.records.record_lines import read_record_lines
from lit_metanas.records.result_files import read_results
from lit_metanas.training.precision import BF16, FLOAT32

Arrays = tuple[np.ndarray, list[str]]


pytestmark = pytest.mark.usefixtures("short_trials")


def search_setup(**options: Any) -> SearchSetup:
    """Of a table, a small network first and one of a hundred times as many multiply-adds."""
    rows = np.random.default_rng(0).random((1000, 10))
    task = lm.task_from_arrays(rows, [0, 1] * 500, preprocessing=lm.kinds.Columns(scale="standardised"))
    space = lm.MLPSpace(depths=(0, 2), widths=(64,))
    both = [next(one for one in space.architectures() if one["depth"] == depth) for depth in ("0", "2")]
    variants = InputVariants(task, {}, space, NetworkLimits())
    given = AutoOptions(None, **options)
    job = Job(given, kind_named("rows"), variants, None, None, began=perf_counter(), read_seconds=0.0)
    return SearchSetup(job, [], both, lm.Recipe(), {}, shares=replace(SHARES, search=0.5))


def test_minutes_become_flops_by_a_measured_pace(
    arrays: Arrays, space: lm.LayeredSpace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 2e6)
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
    assert "auto: 'arrays': 40 images of 2 classes, 8x8 pixels: 24 to learn from, 8 to choose by, 8 to test." in told
    again = lm.auto(arrays, flops=result.budget, space=space, progress=False)
    assert same_weights(result.network, again.network)


@pytest.mark.parametrize("name", [FLOAT32, BF16])
def test_minutes_name_what_the_clock_decided_and_its_call_repeats_it(
    name: str, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 1e7)
    monkeypatch.setattr(budget_division, "faster_precision", lambda *args, **more: name)
    result = lm.auto(arrays, minutes=0.05, space=space, output=tmp_path, progress=False)
    assert result.precision == name
    assert ("precision='bf16-mixed'" in result.command) == (name == BF16)
    assert "32-true" not in result.command
    state = json.loads((tmp_path / "auto.json").read_text())
    assert state["plan"]["precision"] == state["done"]["precision"] == name
    (row,), (record,) = read_results(tmp_path / "results.json"), read_record_lines(tmp_path / "records.jsonl")
    assert row.precision == record.precision == name
    assert (f"| {BF16} |" in (tmp_path / "report" / "report.md").read_text()) == (name == BF16)
    monkeypatch.setattr(budget_division, "faster_precision", lambda *args, **more: pytest.fail("timed"))
    again = eval(result.command, {"lm": lm, "data": arrays, "space": space})
    assert same_weights(again.network, result.network)
    assert again.precision == name
    assert {tensor.dtype for tensor in result.network.parameters()} == {torch.float32}


def test_a_machine_that_gets_slower_leaves_the_training_a_share(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces, measured = iter([Pace(2e6, 0.0, 0.0), Pace(5e5, 0.0, 0.0)]), list[Pace]()

    def slower(*args: Any, **more: Any) -> Pace:
        measured.append(next(paces))
        return measured[-1]

    paced(monkeypatch, 2e6)
    monkeypatch.setattr(budget_division, "measure_pace", slower)
    monkeypatch.setattr(budget_division, "perf_counter", lambda: perf_counter() + 60 * (len(measured) > 1))
    result = lm.auto(arrays, minutes=0.2, space=space, progress=False)
    assert result.budget is not None
    seconds = SHARES.least_trained * result.budget[0] / 2e6
    assert result.training_cost.flops == pytest.approx(5e5 * seconds, rel=0.1)


def test_too_small_a_budget_says_the_least(arrays: Arrays, space: lm.LayeredSpace) -> None:
    with pytest.raises(ValueError, match=r"0.0001 min is too short .*: give 0\.\d minutes or more"):
        lm.auto(arrays, minutes=0.0001, space=space, progress=False)
    with pytest.raises(ValueError, match=r"pay for no epoch of a network on these data: give \d") as told:
        lm.auto(arrays, flops=1e3, space=space, progress=False)
    least = float(str(told.value).split("give ")[1].split(" or")[0])
    with pytest.raises(ValueError, match=r": give \[\d\S*,\d\S*\] or more"):  # as Python and as a command have it
        lm.auto(arrays, flops=(1e3, 1e3), space=space, progress=False)
    assert lm.auto(arrays, flops=least, space=space, progress=False, threads=None).recipe.epochs >= 1
    assert lm.auto(arrays, flops=(3e6, 1.0), space=space, progress=False).recipe.epochs == 1  # less than an epoch


def test_a_single_network_is_not_searched_for_as_long_as_a_larger_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = search_setup(minutes=1)
    usual = setup.job.variants.usual
    small, large = (setup.epoch_flops_of(one, usual, usual.task.train) for one in setup.timed)
    paced(monkeypatch, large / 100)  # an epoch of the large one takes 100 s of 60
    divided = divide(setup)  # was refused: give 0.1 minutes or more
    assert small <= divided.search <= 1.01 * small + 1
    assert divided.expected > 50 * large / 100


def test_a_tiny_first_network_leaves_the_training_its_share() -> None:
    flops = 300 * search_setup().epoch_flops  # thousands of epochs of the first network
    assert divide(search_setup(flops=flops)).search == pytest.approx(0.5 * flops)


def test_flops_that_hide_an_epoch_in_their_last_digit_are_no_small_budget() -> None:
    assert divide(search_setup(flops=1e24)).search == pytest.approx(1e24)


def test_candidates_grow_with_the_budget() -> None:
    numbers = [SHARES.rungs(trials, 1.0) for trials in (0.05, 0.1, 0.4, 0.8, 4, 8, 80, 1e24)]
    assert numbers[:5] == [(1,), (1,), (2,), (4, 2), (4, 2)]
    assert numbers[5:7] == [(6, 4, 2), (19, 10, 4, 2)]
    assert numbers[-1][0] == SHARES.most_first
    assert numbers == sorted(numbers)


def test_the_first_rung_has_its_share_and_the_others_the_rest() -> None:
    setup = search_setup()
    assert setup.rung_shares((1,)) == [1.0]
    assert setup.rung_shares((6, 4, 2)) == [0.5, 0.25, 0.25]
    assert search_setup(pareto="flops").rung_shares((3, 1)) == [0.75, 0.25]


def test_a_search_for_a_front_begins_with_half_of_its_candidates() -> None:
    assert [SHARES.front_rungs(trials, 1.0) for trials in (0.1, 0.5)] == [(1,), (1, 1)]
    assert SHARES.front_rungs(5.0, 1.0) == (4, 2, 1)
    assert sum(SHARES.front_rungs(28.0, 1.0)) == sum(SHARES.rungs(28.0, 1.0))


def test_small_networks_of_a_front_have_more_epochs() -> None:
    epochs = shared_epochs([100.0, 1.0], 1000.0, 200)
    assert epochs[1] == pytest.approx(10 * epochs[0], abs=10)
    assert 900 <= 100 * epochs[0] + epochs[1] <= 1000
    assert shared_epochs([100.0, 1.0], 1e9, 200) == [200, 200]
    assert shared_epochs([100.0, 50.0, 1.0], 120.0, 200) == [1]
    assert shared_epochs([100.0], 10.0, 200) == [1]


def test_a_training_has_no_more_epochs_than_help() -> None:
    def share(budget: float, trial: float = 3) -> float:
        return search_part(search_setup(), budget, epoch=1, trial=trial, single=1)

    assert (share(100), share(1000)) == (50, 800)
    assert share(100, trial=300) == 1  # a single candidate is not compared


def test_a_search_takes_the_seconds_that_it_was_given() -> None:
    setup, pace = search_setup(), Pace(flops=1e9, building=0.05, scoring=0.00025)  # of 200 examples
    vars(setup)["trial_flops"] = 3e8
    flops_of = partial(search_flops, setup, pace)
    for seconds in (1.0, 10.0, 100.0):
        flops = flops_of(seconds)
        taken = flops / 1e9 + sum(SHARES.rungs(flops, 3e8)) * 0.1
        assert seconds - 0.7 <= taken <= 1.01 * seconds  # a further network may bring a further rung
    one, two = (flops_of(100.0, workers=number) for number in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.1)


@pytest.mark.parametrize(
    ("trials", "choosing", "more", "folds"),
    [
        (100, 300, {}, 2),  # of 200 examples each
        (100, 200, {}, 1),
        (100, 5000, {}, 4),  # the train part has 600
        (18, 5000, {}, 2),  # more folds would leave too few first networks
        (10, 5000, {}, 1),
        (100, 5000, {"pareto": "flops"}, 1),
    ],
)
def test_a_search_has_as_many_folds_as_it_needs_and_pays_for(
    trials: int, choosing: int, more: dict[str, Any], folds: int
) -> None:
    setup = search_setup(**more)
    setup = replace(setup, shares=replace(SHARES, choosing=choosing))
    found = setup.in_folds(trials * setup.trial_flops)
    assert (found.folds, found.trial_flops) == (folds, folds * setup.trial_flops)
    assert len(found.chosen_by) == 200 * folds


@pytest.mark.parametrize(("steps", "flops"), [(20, 8e8), (1000, 5e9)])
def test_a_linear_candidate_has_no_more_epochs_than_help_or_than_others_have(
    steps: int, flops: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    epochs: dict[str, list[int]] = {"0": [], "2": []}
    train = TrainingEstimator.__call__

    def counted(
        self: TrainingEstimator, architecture: lm.Architecture, *, fidelity: float, **others: Any
    ) -> lm.estimators.Score:
        epochs[architecture["depth"]].append(round(fidelity * self.recipe.epochs))
        return train(self, architecture, fidelity=1 / self.recipe.epochs, **others)

    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=steps))
    monkeypatch.setattr(TrainingEstimator, "__call__", counted)
    space = lm.MLPSpace(depths=(0, 2), widths=(64,))
    standardised = lm.kinds.Columns(scale="standardised")
    task = lm.task_from_arrays(rows, (rows[:, 0] > 0).long().tolist(), preprocessing=standardised)
    lm.auto(task, flops=(flops, 1e6), space=space, progress=False)
    average = 4 * max(epochs["2"])  # at most, if all but one of the four timed networks are linear
    assert SHARES.longest <= max(epochs["0"]) <= max(SHARES.longest, average)
    assert (max(epochs["2"]) > SHARES.longest) == (steps == 1000)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("ending", [0.0, 0.5, 2.0])
def test_the_last_training_takes_no_longer_than_is_left(
    workers: int, ending: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_division, "workers_now", lambda: workers)
    monkeypatch.setattr(Known, "last_epoch_flops", lambda *_: 1)
    limited = SimpleNamespace(members=lambda architecture, most, measures: most)
    network: Any = SimpleNamespace(variant=SimpleNamespace(limited=limited), found=SimpleNamespace(architecture=None))
    setup: Any = SimpleNamespace(member_epochs=40, shares=SHARES)
    known = Known(setup, BudgetPlan(1.0), None, None, network)  # type: ignore[arg-type]
    numbers = set()
    for seconds in range(10, 250):
        flops = budget_division._flops_of_seconds(known, seconds, alone=1.0, together=1.0, ending=ending)
        members = known.members(network, flops)
        taken = ceil(members / workers) * flops / members + (members - 1) * ending
        assert 0 < taken <= seconds * (1 + 1e-6), seconds
        numbers.add(members)
    assert {1, 2, 5} <= numbers
