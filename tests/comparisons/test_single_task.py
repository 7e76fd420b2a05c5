"""One task, one method: as by hand, as a comparison writes it, and nothing global changed."""

import logging
import math
import os
import random
import re
import signal
import warnings
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import optuna
import pytest
import torch
from meta_toys import make_trainer
from PIL import Image
from sharing_toys import make_task
from torch.utils.data import DataLoader

from lit_metanas.comparisons import SearchResult, TargetSearch, search, search_progress
from lit_metanas.estimators import TrainingEstimator
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.records import Budget, Cost, read_architectures, read_record_lines, read_results
from lit_metanas.records.record import FailedWorkError
from lit_metanas.records.statistics import wilson_reach
from lit_metanas.searchers import (
    DARTSSearcher,
    EvolvingHalving,
    FixedArchitecture,
    QuerySearcher,
    RandomArchitecture,
    SuccessiveHalving,
)
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split
from lit_metanas.training import Child, Recipe, load
from lit_metanas.training.child import fit_child
from lit_metanas.training.weight_sharing.darts_training import DARTSTraining

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU",), depths=(1, 2), widths=(2, 4))
RECIPE = Recipe(epochs=3, batch_size=8)

TASK = replace(make_task(each=6), id="glyphs/0", classes=("a", "b", "c"))


def brief_training(task, space, seed):
    return TrainingEstimator(task, space, seed, Recipe(epochs=1, batch_size=8))


METHODS = {
    "fixed": lambda: FixedArchitecture({}),
    "queries": lambda: QuerySearcher(
        estimator=brief_training,
        train={"learning_rate": RecipeRange(0.02, 0.05, log=True)},
        objectives=("accuracy", "parameters"),
    ),
    "darts": lambda: DARTSSearcher(epochs=2, batch_size=8),
}


def searched(method="darts", task=TASK, **options):
    made = METHODS[method]() if isinstance(method, str) else method
    given = {"method": made, "flops": 2e6, "queries": 3, "recipe": RECIPE, "seed": 1, **options}
    return search(task, SPACE, **given)


@pytest.fixture(scope="module")
def found():
    return searched()


@pytest.mark.parametrize("method", ["queries", "darts"])
def test_the_result_is_what_a_comparison_writes(method, tmp_path):
    result = searched(method)
    options = {"recipe": RECIPE, "flops": 2e6, "queries": 3, "seed": 1, "export": True, "refit": True}
    module = TargetSearch(space=SPACE, methods={method: METHODS[method]()}, directory=str(tmp_path), **options)
    loader = DataLoader([TASK], batch_size=None, collate_fn=lambda task: task)
    make_trainer().predict(module, loader, return_predictions=False)
    (row,) = read_results(tmp_path / "results.json")
    (chosen,) = read_architectures(tmp_path / "architectures.json")
    folder = (tmp_path / chosen.weights).parent
    (record,) = read_record_lines(folder / "record.jsonl")
    assert (row.task_id, row.space, row.architecture) == (result.task_id, result.space, result.architecture)
    assert (row.value, row.ci95) == (result.test_accuracy, result.ci95)
    assert (row.class_values, row.images) == (result.class_accuracy, result.images)
    assert (row.parameters, row.flops, row.meta_cost) == (result.parameters, result.flops, result.meta_cost)
    assert row.recipe == chosen.recipe == asdict(result.recipe)
    assert repr(chosen.value) == repr(result.val_score)  # which may be NaN
    assert replace(row.cost, seconds=0.0) == replace(result.cost, seconds=0.0)
    assert [trial.architecture for trial in record.trials] == [trial.architecture for trial in result.record.trials]
    for name, tensor in read_weights(folder / "weights.pt").items():
        assert torch.equal(tensor, result.network.state_dict()[name])
    assert load(folder).classes == chosen.classes == result.classes


@pytest.mark.parametrize(("method", "refit"), [("queries", False), ("darts", True)])
def test_the_result_is_that_of_the_steps_by_hand(method, refit):
    result = searched(method, refit=refit)
    budget = Budget(flops=2e6, queries=3)
    by_hand = METHODS[method]().search(TASK, SPACE, budget, 1)
    torch.manual_seed(1)
    recipe = RECIPE.replace(by_hand.recipe)
    child = Child(
        space=SPACE, architecture=by_hand.architecture, shape=(1, 8, 8), way=3, recipe=recipe, weights=by_hand.weights
    )
    pairs = zip((TASK.train.inputs, TASK.train.labels), (TASK.val.inputs, TASK.val.labels), strict=True)
    both = Split(*(torch.cat(pair) for pair in pairs))
    fit_child(child, both if refit else TASK.train, seed=1)
    scores = child.network.eval()(TASK.test.inputs)
    right = scores.argmax(1) == TASK.test.labels
    share = right.float().mean().item()
    assert result.images == (36 if refit else 18, 18)
    shares = {name: right[TASK.test.labels == label].float().mean().item() for label, name in enumerate("abc")}
    assert result.class_accuracy == pytest.approx(shares)
    assert (result.architecture, result.recipe) == (by_hand.architecture, recipe)
    assert result.test_accuracy == pytest.approx(share)
    assert result.ci95 == wilson_reach(result.test_accuracy, len(TASK.test))
    assert (result.cost.flops, result.cost.queries) == (budget.spent.flops, budget.spent.queries)
    assert result.val_score == max(t.value for t in by_hand.record.trials if t.architecture == result.architecture)
    assert torch.equal(result.network(TASK.test.inputs), scores)


def test_it_classifies_images_by_name(found):
    inputs = TASK.test.inputs
    expected = found.network(inputs).softmax(1)
    predicted = found.predict(inputs)
    for row, named in zip(expected.tolist(), predicted, strict=True):
        assert named == dict(zip("abc", row, strict=True))
        assert list(named.values()) == sorted(row, reverse=True)
    right = [next(iter(named)) == "abc"[label] for named, label in zip(predicted, TASK.test.labels, strict=True)]
    assert sum(right) / len(right) == found.test_accuracy
    (single,) = found.predict(inputs[3])
    assert single == pytest.approx(predicted[3], abs=1e-6)
    many = inputs[:1].expand(501, -1, -1, -1)
    assert found.predict(many)[500] == pytest.approx(predicted[0], abs=1e-6)
    bytes_of_photos = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 30), dtype=np.uint8)
    assert [round(sum(named.values()), 5) for named in found.predict(bytes_of_photos)] == [1, 1]


def test_network_and_export_take_images_as_users_have_them(found, tmp_path):
    photos = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    expected = found.predict(torch.from_numpy(photos).permute(0, 3, 1, 2))
    found.export(tmp_path)
    exported = load(tmp_path)
    files = [tmp_path / f"{place}.png" for place in range(2)]
    for file, photo in zip(files, photos, strict=True):
        Image.fromarray(photo).save(file)
    for given in (photos, photos.astype(np.float32) / 255):
        for named, row in zip(found.predict(given), exported.predict(given), strict=True):
            assert named == pytest.approx(dict(zip("abc", row.tolist(), strict=True)), abs=1e-5)
        assert [one["a"] for one in found.predict(given)] == pytest.approx([one["a"] for one in expected], abs=1e-5)
    of_files = exported.predict(list(map(str, files)))
    torch.testing.assert_close(exported.predict(files[1]), of_files[1:])
    assert [one["a"] for one in found.predict(files)] == pytest.approx(of_files[:, 0].tolist(), abs=1e-5)
    assert of_files[:, 0].tolist() == pytest.approx([one["a"] for one in expected], abs=0.02)  # grey by Pillow's bytes
    assert found.predict([Image.fromarray(photo) for photo in photos]) == found.predict(photos)
    assert found.predict((photos[0].transpose(2, 0, 1) / 255).tolist()) == found.predict(photos[:1].astype(float) / 255)
    with pytest.raises(ValueError, match="The input of predict has images with values up to 254: divide them by 255"):
        exported.predict(torch.full((2, 3, 8, 8), 254.0))
    for nothing in ([], ["no.png", 3]):
        with pytest.raises(ValueError, match=r"examples (has shape|holds)"):
            exported.predict(nothing)


def test_it_reads_well(found):
    assert repr(found) == str(found)
    text = str(found)
    lines = text.splitlines()
    assert lines[0] == "Found in LayeredSpace for task 'glyphs/0':"
    assert f"architecture: {found.architecture}" in " ".join(text.split())
    inner = replace(found, test_score=0.7134, ci95=0.0091)
    assert "  test accuracy: 71.3 ± 0.9 % (95 % interval)" in str(inner).splitlines()
    few = replace(found, test_score=0.5, ci95=math.nan, images=(36, 2))
    assert "  test accuracy: 50.0 % (of 2 examples, too few for an interval)" in str(few).splitlines()
    assert "  images: trained on 36, tested on 18" in lines
    weakest = min(found.class_accuracy, key=found.class_accuracy.__getitem__)
    assert f"  weakest class: {weakest}, {100 * found.class_accuracy[weakest]:.1f} %" in lines
    assert f"  network: {found.parameters:,} parameters, {found.flops:,} multiply-adds an image" in lines
    assert lines[-2] == f"  cost of the search: {found.cost.flops:.3g} training FLOPs, {found.cost.seconds:.1f} s"
    spent = found.training_cost
    assert lines[-1] == f"  cost of all training after it: {spent.flops:.3g} training FLOPs, {spent.seconds:.1f} s"
    assert "tried" not in text  # DARTS tries no architecture by itself
    assert "  latency: 2 ms for one input" in str(replace(found, latency=0.002, threads=None)).splitlines()
    assert found.front_table() == []
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize("searcher", ["halving", "evolving"])
def test_what_the_budget_left_out_is_told(searcher):
    estimator = partial(TrainingEstimator, recipe=replace(RECIPE, batch_size=36))  # an epoch is a step, which is whole
    halving = SuccessiveHalving(estimator=estimator, candidates=8)
    evolving = EvolvingHalving(estimator=estimator, candidates=(6, 2), rungs=(0.5, 0.3))
    method, all_of_them = (halving, 8) if searcher == "halving" else (evolving, 7)  # the best of six, and a mutant
    paid, short = (searched(method=method, flops=flops, queries=None, seed=0) for flops in (1e7, 1e5))
    assert (paid.cost.queries, paid.untried) == (all_of_them, 0)
    assert f"  tried: {all_of_them} architectures" in str(paid).splitlines()
    assert 0 < short.cost.queries < all_of_them
    assert 0 < short.untried <= all_of_them - short.cost.queries  # a mutant may be one of those left out before
    named = "1 architecture" if short.cost.queries == 1 else f"{short.cost.queries} architectures"
    assert f"  tried: {named}; the budget did not pay for {short.untried} more" in str(short).splitlines()


class Slow(FixedArchitecture):
    """Spends the budget in twenty steps, each of so many seconds on a clock of the test's."""

    def __init__(self, clock, seconds):
        super().__init__({})
        self.clock, self.seconds = clock, seconds

    def search(self, task, space, budget, seed):
        for _ in range(20):
            self.clock.now += self.seconds
            budget.charge(Cost(flops=100_000, queries=1))
        return super().search(task, space, Budget(), seed)


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("seconds", "shares"), [(0.05, []), (4, range(10, 101, 10))])
def test_a_log_gets_a_line_for_each_tenth_of_a_slow_search(seconds, shares, monkeypatch, capsys):
    monkeypatch.setattr(search_progress, "perf_counter", clock := Clock())
    searched(Slow(clock, seconds), queries=None)
    *lines, last = capsys.readouterr().err.splitlines() or [""]
    begin = "search of 'glyphs/0' by Slow: "
    told = [
        f"{share}% of the budget, {share // 5} architectures tried, {share * seconds / 5:.3g} s" for share in shares
    ]
    assert lines == [f"{begin}searching, {line}" for line in told]
    assert last == (f"{begin}training the chosen network, {20 * seconds:.3g} s" if shares else "")
    searched(Slow(clock, 4), queries=None, progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    budget = search_progress.ReportedBudget(TASK, Slow(clock, 4), queries=None, flops=None)
    with search_progress.show_progress(budget, wanted=True) as start_part:
        start_part(search_progress.SEARCHING)
        assert budget.describe() == ""
        budget.charge(Cost(queries=1))
        assert budget.describe() == "1 architecture tried"
    assert "searching, 1 architecture tried" in capsys.readouterr().err


def snapshot():
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "random": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "warnings": list(warnings.filters),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        "precision": torch.get_float32_matmul_precision(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "levels": {name: logging.getLogger(name).level for name in ("", "lightning", "lightning.pytorch", "optuna")},
        "optuna": optuna.logging.get_verbosity(),
    }


@pytest.mark.parametrize("method", ["queries", "darts"])
def test_nothing_global_is_changed(method, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    searched(method)  # what is imported on the way may set things once
    torch.manual_seed(77)
    before = snapshot()
    searched(method)
    after = snapshot()
    assert {name for name in before if before[name] != after[name]} == set()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("threads", "meanwhile"), [(1, 1), (None, 3)])
def test_threads_are_set_and_put_back(threads, meanwhile):
    class Counts(RandomArchitecture):
        def search(self, *args, **kwargs):
            counted.append(torch.get_num_threads())
            return super().search(*args, **kwargs)

    counted, before = [], torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        search(TASK, SPACE, method=Counts(), recipe=RECIPE, threads=threads)
        assert (counted, torch.get_num_threads()) == ([meanwhile], 3)
    finally:
        torch.set_num_threads(before)


def test_the_precision_is_the_tasks(found):
    torch.set_default_dtype(torch.float64)
    try:
        result = searched()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(result.network(TASK.test.inputs), found.network(TASK.test.inputs))


@pytest.mark.parametrize(
    "options",
    [
        {"method": "darts", "flops": None, "recipe": RECIPE},
        {"method": "fixed", "recipe": Recipe(epochs=100_000, batch_size=8)},
    ],
    ids=["in the search", "in the training"],
)
def test_ctrl_c_reaches_the_caller(options, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    calls = []
    owner, name = (Child, "step_loss") if options["method"] == "fixed" else (DARTSTraining, "training_step")
    given = getattr(owner, name)

    def step(self, *args, **more):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return given(self, *args, **more)

    monkeypatch.setattr(owner, name, step)
    with pytest.raises(KeyboardInterrupt):
        searched(**options)
    assert len(calls) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_no_method_need_be_given():
    result = search(TASK, SPACE, flops=1e6, recipe=RECIPE)
    assert isinstance(result, SearchResult)
    assert 0 < result.cost.flops <= 1e6
    halving = SuccessiveHalving(candidates=8, estimator=lambda *given: TrainingEstimator(*given, recipe=RECIPE))
    by_name = search(TASK, SPACE, method=halving, flops=1e6, recipe=RECIPE)
    assert torch.equal(by_name.network(TASK.test.inputs), result.network(TASK.test.inputs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": torch.rand(3)}, "task must be a Task, not Tensor"),
        ({"method": QuerySearcher()}, "goes on until its budget is spent: give flops, queries, or its trials"),
        ({"seed": -1}, "seed = -1 must be at least 0"),
        ({"threads": 0}, "threads is 0; give 1 to 4096"),
        ({"task": replace(TASK, val=None)}, "has no validation examples to choose an architecture by"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        search(**{"task": TASK, "space": SPACE, **arguments})


@pytest.mark.parametrize("refit", [True, False])
def test_a_choice_is_validated_by_a_training_on_the_train_part_alone(refit):
    result = searched("fixed", refit=refit, validate=True)
    plain = searched("fixed", refit=refit)
    assert math.isnan(plain.val_score)
    alone = searched("fixed", refit=False)
    scores = alone.network(TASK.val.inputs)
    assert result.val_score == pytest.approx((scores.argmax(1) == TASK.val.labels).float().mean().item())
    more = alone.training_cost.flops if refit else 0
    assert result.training_cost.flops == plain.training_cost.flops + more
    assert torch.equal(result.network(TASK.test.inputs), plain.network(TASK.test.inputs))
    assert math.isnan(searched("fixed", replace(TASK, val=None), validate=True).val_score)


class Choosing(FixedArchitecture):
    """Chooses a learning rate, too, and has values that only rank what it tried, by two objectives."""

    def __init__(self, **recipe):
        super().__init__({})
        self.recipe = recipe

    def search(self, task, space, budget, seed):
        found = super().search(task, space, budget, seed)
        trials = [replace(found.record.best, value=54.0, measures={"parameters": 9.0})]
        record = replace(found.record, trials=trials, objectives=("accuracy", "parameters"))
        return replace(found, record=record, recipe=self.recipe, ordinal=True)


def test_a_training_that_diverges_names_the_network_and_whose_learning_rate_it_was():
    architecture = re.escape(str(searched("fixed").architecture))
    told = rf"chosen network's training diverged: .* not finite; it is {architecture}, trained with the recipe's "
    with pytest.raises(FailedWorkError, match=rf"{told}learning_rate 1e\+30: lower that\.$"):
        searched("fixed", recipe=replace(RECIPE, learning_rate=1e30))
    told = rf"it is {architecture}, trained with the learning_rate 1e\+30 that the method chose: have it choose "
    with pytest.raises(FailedWorkError, match=rf"{told}among lower ones\.$"):
        searched(Choosing(learning_rate=1e30))
