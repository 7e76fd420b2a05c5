"""Linear models next to a search: one is taken if it is better by the validation part, and otherwise not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import paced
from plain_pixels import PlainPixelSpace

import lit_metanas as lm
from lit_metanas.automl import budget_division, last_training
from lit_metanas.automl.budget_plan import SHARES
from lit_metanas.automl.job import Job
from lit_metanas.automl.known import best_of
from lit_metanas.automl.options import AutoOptions
from lit_metanas.estimators.candidate import Candidate, LinearTrainings
from lit_metanas.estimators.input_variants import InputVariants
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.kinds.given_data import other_ways
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.texts.text_kind import NGRAMS
from lit_metanas.records.record import SearchOutcome, SearchRecord
from lit_metanas.spaces.any_input.ngram_space import NGRAM_DECAYS
from lit_metanas.training.child import training_cost

Arrays = tuple[np.ndarray, list[str]]
Texts = tuple[list[str], list[str]]
SHORT = (1e8, 2.7e8)
DECAYS = PlainPixelSpace.decays


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch, plain_linear_models: None) -> None:
    """Images have small networks, of which a moment trains several."""
    space = lm.LayeredSpace(dropouts=(0,), depths=(2, 3), widths=(16,), norms=("batch", "layer"), shared=True)
    monkeypatch.setattr(ImageKind, "space", lambda self, shape, objective: space)


@pytest.fixture
def sides() -> Arrays:
    """Noisy images that are a little brighter on the left or on the right; a network needs several epochs for them."""
    X = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32) * 0.8
    X[::2, :, :4] += 0.1
    X[1::2, :, 4:] += 0.1
    return X, ["left", "right"] * 30


@pytest.fixture
def letters() -> Texts:
    """Texts whose words are all new, and the ends of whose second words tell their class."""
    generator = np.random.default_rng(0)
    words = ("".join(generator.choice([*"aeiou"], 2)) + own for own in ["lo", "ko"] * 80)
    return [f"say {one}{place}{generator.integers(99)}" for place, one in enumerate(words)], ["l", "k"] * 80


def call(data: Any, flops: Any = SHORT, **more: Any) -> lm.SearchResult:
    return lm.auto(data, flops=flops, progress=False, **more)


def trainings(task: lm.Task, kind: str, ways: Any = None, **limits: float) -> LinearTrainings:
    options = AutoOptions(None, flops=1.0, **limits)  # type: ignore[arg-type]
    own = kind_named(kind)
    variants = InputVariants(task, ways or {}, own.linear_space(), options.limits)
    job = Job(options, own, variants, variants, None, began=0.0, read_seconds=0.0)
    return LinearTrainings(variants, own, job.estimator, share=SHARES.linear)


def of_texts(letters: Texts, **limits: float) -> LinearTrainings:
    """Of texts, which are read as words and as n-grams."""
    task = lm.task_from_texts(*letters)
    return trainings(task, "texts", other_ways(letters, task, kind=None, test=None, group=None), **limits)


def trained(models: LinearTrainings, number: int) -> tuple[Candidate | None, list[Candidate | None], int]:
    found, costs = zip(*models.train(number), strict=True)
    best = max(filter(None, found), key=lambda one: one.value, default=None)
    return best, [*found], sum(cost.flops for cost in costs)


def scores(monkeypatch: pytest.MonkeyPatch, change: Callable[[TrainingEstimator, Any, float], float]) -> list[str]:
    """Let the validation scores be what a function of estimator, architecture and score says; the spaces in turn."""
    plain, spaces = TrainingEstimator.__call__, list[str]()

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        spaces.append(self.space.name)
        found = plain(self, architecture, **more)
        return lm.estimators.Score(change(self, architecture, found.value), found.cost, found.weights)

    monkeypatch.setattr(TrainingEstimator, "__call__", score)
    return spaces


def fine_wins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the linear model of the finest features be better than all else."""

    def value(self: TrainingEstimator, architecture: lm.Architecture, own: float) -> float:
        return min(own, 0.9) if self.space.name == "LayeredSpace" else float(architecture["detail"] == "fine")

    return scores(monkeypatch, value)


def test_the_best_is_the_first_of_the_highest_score_or_a_mean_that_none_clearly_leads() -> None:
    def one(value: float, linear: Candidate | None = None) -> Candidate:
        found = SearchOutcome(lm.Architecture({}), None, SearchRecord("toy"))
        return Candidate(found, None, value, lm.Recipe(), linear=linear)  # type: ignore[arg-type]

    network, linear = one(0.8), one(0.8)
    assert best_of([network, linear], 100) is network
    assert best_of([one(0.7), linear], 100) is linear
    for value, examples, taken in ((0.9, 100, True), (0.77, 100, True), (0.7, 100, False), (0.77, 10_000, False)):
        mean = one(value, linear)
        assert (best_of([network, linear, mean], examples) is mean) == taken


def test_a_linear_model_is_taken_if_it_is_better(sides: Arrays) -> None:
    result = call(sides)
    assert (result.space, result.record.space, result.images) == ("PlainPixelSpace", "LayeredSpace", (48, 12))
    assert result.test_accuracy > 0.9
    assert result.val_score > max(0.8, result.record.best.value)
    assert result.parameters == (8 * 8 + 6 * 6 * 8 + 1) * 2
    assert result.cost.flops + result.training_cost.flops <= sum(SHORT)
    assert result.training_cost.seconds > 0
    assert "linear model: of average pixels and edges, has validation accuracy" in repr(result)
    assert result.linear_model.endswith("%: the linear model was taken")
    returned = 3 * result.flops * result.images[0] * result.recipe.epochs  # the rest is for trials, and for the network
    assert result.unreturned == result.training_cost.flops - returned > returned
    share = f"{result.unreturned / result.training_cost.flops:.0%}"
    assert f"cost of all training after it ({share} for models that are not returned): " in repr(result)
    assert result.predict(sides[0][:2, None])[0].keys() == {"left", "right"}
    again = call(sides, result.budget)
    assert (again.budget, again.linear_model) == (result.budget, result.linear_model)
    torch.testing.assert_close(again.network.head.weight, result.network.head.weight, rtol=0, atol=0)


@pytest.mark.parametrize(("perfect", "trained_on"), [(2, True), (1, False)], ids=["once trained on", "in the search"])
def test_a_network_that_is_as_good_is_taken(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, perfect: int, trained_on: bool
) -> None:
    def value(self: TrainingEstimator, architecture: lm.Architecture, own: float) -> float:
        return 1.0 if spaces[-1] == "LayeredSpace" and spaces.count("LayeredSpace") >= perfect else own

    spaces = scores(monkeypatch, value)
    result = call(sides, output=tmp_path / "out")
    epoch = 3 * result.flops  # an epoch is 36 of it before the last training, and 48 in that
    before = result.training_cost.flops - result.unreturned - 48 * epoch * result.recipe.epochs
    assert result.unreturned > 0
    assert before % (36 * epoch) == 0
    assert (before > 0) == trained_on  # that training is the returned network's, too
    assert spaces[0] == "LayeredSpace"
    assert (spaces[-1] == "LayeredSpace") == trained_on
    assert spaces.count("LayeredSpace") == 1 + trained_on
    assert result.space == "LayeredSpace"
    assert result.linear_model.endswith("the best network 100.0 %: the network was taken")
    again = call(sides, output=tmp_path / "out")
    assert again.unreturned == result.unreturned
    assert result.val_score == again.val_score == 1  # also if a longer training had it
    (row,) = lm.records.read_architectures(tmp_path / "out" / "architectures.json")
    assert row.value == 1
    assert 0.7 * sum(SHORT) < result.cost.flops + result.training_cost.flops <= sum(SHORT)


def test_a_linear_model_that_nothing_as_small_equals_is_on_the_front(sides: Arrays, tmp_path: Path) -> None:
    given: dict[str, Any] = {"flops": (1e8, 5e8), "pareto": "flops", "output": tmp_path / "out"}
    found = call(sides, **given)
    assert [one.flops for one in found.front] == sorted(one.flops for one in found.front)
    assert 1 < len(found.front) <= SHARES.front_points
    linear = [one for one in found.front if one.space == "PlainPixelSpace"]
    assert len(linear) == 2 < len(found.front)
    assert found.val_score == max(one.val_score for one in found.front)
    sentences = found.linear_model.split("; ")
    for text, what in zip(sentences, ("pixels and edges", "pixels"), strict=True):
        assert text.startswith(f"of average {what}, has validation accuracy")
        assert text.endswith(" %: it is on the front")
    assert sum(one.training_cost.flops for one in found.front) < found.training_cost.flops <= 5e8
    for one in linear:
        assert one.flops < min(other.flops for other in found.front if other.space == "LayeredSpace")
        assert one.images == (48, 12)
        assert one.val_score > 0.6
        name = found.front_names[found.front.index(one)]
        exported = lm.load(tmp_path / "out" / "front" / name)
        inputs = torch.from_numpy(sides[0][:3, None])
        torch.testing.assert_close(exported.predict(inputs), one.objective.values(one.network(inputs)))
    assert "PlainPixelSpace: detail" in (tmp_path / "out" / "front" / "front.md").read_text()
    for again in (call(sides, **given), call(sides, found.budget, pareto="flops")):
        told = [[(one.space, one.architecture, one.val_score) for one in each.front] for each in (again, found)]
        assert told[0] == told[1]
        assert (again.space, again.linear_model) == (found.space, found.linear_model)
        assert again.training_cost.flops == found.training_cost.flops


def test_a_front_has_one_network_of_a_size(tmp_path: Path) -> None:
    """A network of numbers without a hidden layer is as large as a linear model."""
    X, y = np.random.default_rng(0).normal(size=(40, 3)), ["high", "low"] * 20
    X[::2] += 4
    task = lm.task_from_arrays(X, y, preprocessing=lm.kinds.Columns(scale="standardised"))
    found = call(task, 3e7, pareto="parameters", output=tmp_path / "out")
    sizes = [one.parameters for one in found.front]
    assert sizes.count(10) == 1
    assert sizes == sorted(set(sizes))
    replace(found, front=found.front[:1]).export(tmp_path / "alone")
    told = "this network alone; nothing else that was found trades accuracy against parameters."
    assert told in (tmp_path / "alone" / "README.md").read_text()


def test_an_interrupt_leaves_a_linear_model_that_is_better(
    sides: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces, whole = fine_wins(monkeypatch), call(sides)
    plain = TrainingEstimator.__call__

    def stop(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        if self.space.name == "LayeredSpace" and spaces.count("LayeredSpace"):
            raise KeyboardInterrupt  # while it is trained on, as a linear model is better
        return plain(self, architecture, **more)

    with monkeypatch.context() as patched:
        spaces.clear()
        patched.setattr(TrainingEstimator, "__call__", stop)
        stopped = call(sides, output=tmp_path)
    assert (stopped.stopped, stopped.space, stopped.val_score) == (True, "PlainPixelSpace", 1.0)
    assert stopped.linear_model.endswith("%: the linear model was taken")
    goes_on = call(sides, output=tmp_path)
    assert (goes_on.stopped, goes_on.linear_model, goes_on.budget) == (False, whole.linear_model, whole.budget)
    assert torch.equal(goes_on.network.head.weight, whole.network.head.weight)


@pytest.mark.parametrize("failure", [MemoryError("no memory"), None], ids=["raises", "diverges"])
def test_the_network_is_taken_if_the_last_training_of_the_linear_model_fails(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    plain = last_training.fit_child

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        if child.space.name == "PlainPixelSpace":
            if failure is not None:
                raise failure
            child.network.head.weight.data[0] = torch.inf  # type: ignore[union-attr, index]
        return cost

    monkeypatch.setattr(last_training, "fit_child", fit)
    training = 1.02 * trainings(lm.task_from_arrays(*sides), "images").nearest(1.0, epoch=0, number=2)
    fine_wins(monkeypatch)
    result = call(sides, (1e8, training), max_flops=100_000)
    assert (result.space, result.images) == ("LayeredSpace", (48, 12))
    told = "MemoryError: no memory" if failure else "ArithmeticError: training diverged: the weights 'head.weight' are"
    assert f"%: its last training failed ({told}" in result.linear_model
    assert result.linear_model.endswith("so the network was taken")
    assert 0.9 * training < result.training_cost.flops <= training


def test_a_training_on_that_diverges_leaves_the_network_as_it_was(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, networks = TrainingEstimator.__call__, []

    def diverge(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        if self.space.name == "LayeredSpace":
            networks.append(architecture)
            if len(networks) > 1:
                raise ArithmeticError("training diverged")
        return plain(self, architecture, **more)

    ordinary = call(sides)
    monkeypatch.setattr(TrainingEstimator, "__call__", diverge)
    result = call(sides)
    assert len(networks) == 3  # in the search, and twice further
    told = f"the best network {100 * result.record.best.value:.1f} %: the linear model was taken"
    assert result.linear_model.endswith(told)
    assert result.training_cost.flops == ordinary.training_cost.flops


def test_a_network_that_is_still_behind_is_trained_on_with_most_of_the_rest_for_as_long_as_pays(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, costs, longest = list[int](), list[float](), SHARES.longest
    plain = TrainingEstimator.__call__

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        linear = self.space.name == "PlainPixelSpace"
        epochs.extend([] if linear else [self.recipe.epochs])
        if self.recipe.epochs == longest:
            return lm.estimators.Score(0.5, lm.Cost())
        found = plain(self, architecture, **more)
        costs.extend([] if linear else [found.cost.flops])
        return lm.estimators.Score(1.0 if linear else 0.5, found.cost, found.weights)

    monkeypatch.setattr(TrainingEstimator, "__call__", score)
    result = call(sides, (1e8, 2e9))
    assert result.space == "PlainPixelSpace"
    assert costs[-2:] == [pytest.approx(1e9, rel=0.1), pytest.approx(0.8e9, rel=0.1)]
    assert 0.85 * 2e9 < result.training_cost.flops <= 2e9
    assert call(sides, (1e8, 1e12)).space == "PlainPixelSpace"
    assert epochs[-2:] == [longest, longest]


def test_seconds_of_linear_models_come_off_the_minutes(sides: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    late, clock, plain = 0.0, budget_division.perf_counter, LinearTrainings.train

    def slow(self: LinearTrainings, number: int) -> Any:
        nonlocal late
        late = 20.0
        return plain(self, number)

    paced(monkeypatch, 1e8)
    monkeypatch.setattr(budget_division, "perf_counter", lambda: clock() + late)
    with monkeypatch.context() as patched:
        patched.setattr(LinearTrainings, "train", slow)
        result = call(sides, None, minutes=0.5, workers=1)
    assert result.linear_model
    assert result.budget is not None
    assert 2e8 < result.budget[1] < 1e9  # ten of thirty seconds at most
    again = call(sides, result.budget)
    assert (again.budget, again.linear_model) == (result.budget, result.linear_model)
    assert again.training_cost.flops == result.training_cost.flops <= result.budget[1]


def test_features_are_compared_first_and_then_weight_decays_within_limits(sides: Arrays) -> None:
    task, most = lm.task_from_arrays(*sides), 2 + len(DECAYS) - 1
    whole = trainings(task, "images")
    assert whole.affordable(1e12, epoch=0) == most
    best, found, _ = trained(whole, 9)
    assert best is not None
    assert [one.recipe.weight_decay for one in found if one] == [DECAYS[0], *DECAYS]
    one, found, _ = trained(trainings(task, "images", max_parameters=200), 9)
    assert one is not None
    assert (one.found.architecture["detail"], len(found)) == ("coarse", len(DECAYS))
    none = trainings(task, "images", max_parameters=20)
    assert none.affordable(1e12, epoch=0) == 0
    assert [[*models.train(number)] for models, number in ((none, 9), (whole, 0))] == [[], []]


@pytest.mark.parametrize("epoch", [0.0, 1e10 / 3])
def test_flops_that_are_made_to_pay_for_a_number_of_models_do(sides: Arrays, epoch: float) -> None:
    task = lm.task_from_arrays(*sides)
    models = trainings(task, "images")
    for number in range(5):
        for flops in (1.0, 1e7 / 3, 1e8 / 3, 1e9 / 3, 1e10 / 3, 1e11 / 3):
            made = models.nearest(flops, epoch=epoch, number=number)
            assert models.affordable(made, epoch=epoch) == number
            if models.affordable(flops, epoch=epoch) == number:
                assert made == pytest.approx(flops, rel=1e-11)
    least = models.nearest(1.0, epoch=epoch, number=4)
    assert models.affordable(least * (1 - 1e-8), epoch=epoch) == 3
    best, _, flops = trained(models, 4)
    assert best is not None
    images = models.recipe.epochs * (len(task.train) + len(task.val or ()))
    last = training_cost(models.variants.space, best.found.architecture, task.shape, task.way, images=images)
    assert flops + last.flops + epoch <= least  # an epoch of the network is left


def test_n_grams_are_tried_with_some_decays_within_the_limits(letters: Texts) -> None:
    models = of_texts(letters)
    assert [models.affordable(flops, epoch=0) for flops in (1.0, 1e12)] == [0, len(NGRAM_DECAYS)]
    most, found, flops = trained(models, 9)
    assert most is not None
    assert [one.recipe.weight_decay for one in found if one] == [*NGRAM_DECAYS]
    assert (most.variant.label, most.features, most.value) == (NGRAMS, "tokens by tf-idf", 1.0)
    once = models._estimator.with_recipe({"preprocessing": NGRAMS}).cost(most.found.architecture, 1.0)
    assert flops == len(NGRAM_DECAYS) * once.flops
    none = of_texts(letters, max_parameters=1_000)
    assert none.affordable(1e12, epoch=0) == 0
