"""Linear models beside a search: one is taken where it is better by the validation part, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, linear_trainings_fail

import lit_metanas as lm
from lit_metanas.automl.steps import budget_planner, front_steps, last_training, linear_comparison, linear_models
from lit_metanas.automl.steps.limits import LimitedSpace, NetworkLimits
from lit_metanas.automl.steps.linear_models import LINEAR_DECAYS, LinearModels
from lit_metanas.automl.steps.time_plan import Pace
from lit_metanas.automl.steps.views import Views
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.kinds.given_data import other_ways
from lit_metanas.kinds.kind import kind_named
from lit_metanas.training.child import training_cost

Arrays = tuple[np.ndarray, list[str]]
SHORT = (1e8, 2.7e8)


@pytest.fixture
def sides() -> Arrays:
    """Noisy images that are a little brighter on the left or on the right; a network needs several epochs for them."""
    X = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32) * 0.8
    X[::2, :, :4] += 0.1
    X[1::2, :, 4:] += 0.1
    return X, ["left", "right"] * 30


def call(data: Any, flops: Any = SHORT, **more: Any) -> lm.SearchResult:
    return lm.auto(data, flops=flops, progress=False, **more)


def test_a_linear_model_is_taken_where_it_is_better(sides: Arrays) -> None:
    result = call(sides)
    assert result.space == "LinearSpace"
    assert result.test_accuracy > 0.9
    assert result.val_score > 0.8
    assert result.record.space == "LayeredSpace"
    assert result.val_score > result.record.best.value
    assert result.parameters == (8 * 8 + 6 * 6 * 8 + 1) * 2
    assert result.images == (48, 12)
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
    plain, trained = TrainingEstimator.__call__, []

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        found = plain(self, architecture, **more)
        trained.append(self.space.name)
        number = trained.count("LayeredSpace")
        return (
            lm.estimators.Score(1.0, found.cost, found.weights)
            if trained[-1] == "LayeredSpace" and number >= perfect
            else found
        )

    monkeypatch.setattr(TrainingEstimator, "__call__", score)
    result = call(sides, output=tmp_path / "out")
    epoch = 3 * result.flops  # an epoch is 36 of it before the last training, and 48 in that
    before = result.training_cost.flops - result.unreturned - 48 * epoch * result.recipe.epochs
    assert result.unreturned > 0
    assert before % (36 * epoch) == 0
    assert (before > 0) == trained_on  # that training is the returned network's, too
    assert trained[0] == "LayeredSpace"
    assert (trained[-1] == "LayeredSpace") == trained_on
    assert trained.count("LayeredSpace") == 1 + trained_on
    assert result.space == "LayeredSpace"
    assert result.linear_model.endswith("the best network 100.0 %: the network was taken")
    again = call(sides, output=tmp_path / "out")
    assert again.unreturned == result.unreturned
    assert result.val_score == again.val_score == 1  # also where a longer training told
    (row,) = lm.records.read_architectures(tmp_path / "out" / "architectures.json")
    assert row.value == 1
    assert result.cost.flops + result.training_cost.flops == pytest.approx(sum(SHORT), rel=0.3)
    assert result.cost.flops + result.training_cost.flops <= sum(SHORT)


def test_a_space_that_is_given_has_no_linear_models(arrays: Arrays, space: lm.LayeredSpace) -> None:
    assert call(arrays, 8e6, space=space).linear_model == ""
    assert "LinearSpace" not in [one.space for one in call(arrays, 8e6, space=space, pareto="flops").front]


def test_a_linear_model_that_nothing_as_small_is_as_good_as_is_on_the_front(sides: Arrays, tmp_path: Path) -> None:
    given: dict[str, Any] = {"flops": (1e8, 5e8), "pareto": "flops", "output": tmp_path / "out"}
    found = call(sides, **given)
    assert [one.flops for one in found.front] == sorted(one.flops for one in found.front)
    assert 1 < len(found.front) <= front_steps.POINTS
    linear = [one for one in found.front if one.space == "LinearSpace"]
    assert 0 < len(linear) < len(found.front)
    assert found.val_score == max(one.val_score for one in found.front)
    assert len(linear) == 2
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
        exported = lm.load_exported(tmp_path / "out" / "front" / name)
        inputs = torch.from_numpy(sides[0][:3, None])
        torch.testing.assert_close(exported.predict(inputs), one.network(inputs).softmax(1))
    assert "LinearSpace: detail" in (tmp_path / "out" / "front" / "front.md").read_text()
    for again in (call(sides, **given), call(sides, found.budget, pareto="flops")):
        told = [
            [(one.space, one.architecture, one.test_score, one.val_score) for one in each.front]
            for each in (again, found)
        ]
        assert told[0] == told[1]
        assert (again.space, again.linear_model) == (found.space, found.linear_model)
        assert again.training_cost.flops == found.training_cost.flops


def test_a_front_has_one_network_of_a_size(tmp_path: Path) -> None:
    """A network of numbers without a hidden layer is as large as a linear model."""
    X, y = np.random.default_rng(0).normal(size=(40, 3)), ["high", "low"] * 20
    X[::2] += 4
    found = call((X, y), 2e6, pareto="parameters", output=tmp_path / "out")
    assert [(one.space, one.parameters, one.val_score) for one in found.front] == [("LinearSpace", 10, 1.0)]
    told = "this network alone; nothing else that was found trades accuracy against parameters."
    assert told in (tmp_path / "out" / "README.md").read_text()


def test_a_front_goes_without_a_linear_model_whose_last_training_fails(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear_trainings_fail(monkeypatch)
    found = call(sides, (1e8, 5e8), pareto="flops")
    assert {one.space for one in found.front} == {"LayeredSpace"}
    assert found.linear_model.count(": its last training failed (MemoryError: no memory)") == 2


def test_all_that_they_need_is_kept(sides: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = call(sides, output=tmp_path / "whole")
    again = call(sides, output=tmp_path / "whole")
    plain = linear_comparison.fit_child

    def stop(*args: Any, **more: Any) -> lm.Cost:
        monkeypatch.setattr(linear_comparison, "fit_child", plain)
        raise KeyboardInterrupt

    monkeypatch.setattr(linear_comparison, "fit_child", stop)
    stopped = call(sides, output=tmp_path / "cut")
    assert stopped.stopped
    assert (stopped.space, stopped.val_score, stopped.linear_model) == (
        whole.space,
        whole.val_score,
        whole.linear_model,
    )
    assert stopped.images == (36, 12)  # its last training was interrupted
    task = lm.task_from_arrays(*sides)
    assert task.val is not None
    right = stopped.network(task.val.inputs).argmax(dim=1) == task.val.labels
    assert right.double().mean() == stopped.val_score
    for other in (again, call(sides, output=tmp_path / "cut")):
        assert torch.equal(other.network.head.weight, whole.network.head.weight)
        assert (other.space, other.val_score, other.linear_model) == (whole.space, whole.val_score, whole.linear_model)
        assert other.budget == whole.budget
    (record,) = lm.records.read_record_lines(tmp_path / "whole" / "records.jsonl")
    assert record.space == "LayeredSpace"
    exported = lm.load_exported(tmp_path / "whole")
    inputs = torch.from_numpy(sides[0][:3, None])
    torch.testing.assert_close(exported.predict(inputs), whole.network(inputs).softmax(1))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("images", (1, 28, 28)),
        ("sounds", lm.SeriesShape(4, 12)),
        ("texts", lm.TokenShape(20, 9)),
        ("rows", lm.RowShape(5)),
    ],
)
def test_they_are_exported_for_all_kinds_of_data(kind: str, shape: lm.Shape, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 2
    if isinstance(shape, lm.TokenShape):
        inputs = torch.randint(1, 20, (24, 9), generator=generator)
        inputs[::3, 6:] = 0
    else:
        inputs = torch.rand((24, *shape), generator=generator)
    if isinstance(shape, lm.SeriesShape):
        inputs[:, -1] = 1.0
        inputs[::3, :, 8:] = 0.0
    part = lm.Split(inputs, labels)
    task = lm.Task("toy", 2, part, part, part, vocabulary=20 if kind == "texts" else None)
    limited = LimitedSpace(lm.spaces.LinearSpace(details=("fine",)), NetworkLimits(), task)
    found = lm.search(task, limited.within, method=lm.searchers.FixedArchitecture({"detail": "fine"}), progress=False)
    found.export(tmp_path, int8=part)
    import onnxruntime  # an extra

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (scores,) = session.run(None, {session.get_inputs()[0].name: inputs[:5].numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(scores), found.network(inputs[:5]), atol=1e-4, rtol=1e-4)


def models(sides: Arrays, limits: NetworkLimits | None = None) -> LinearModels:
    task = lm.task_from_arrays(*sides)
    return LinearModels(
        Views(task, {}, lm.spaces.LinearSpace(), limits or NetworkLimits()), kind_named("images"), 0, None
    )


def test_features_are_compared_first_and_then_weight_decays_within_limits(sides: Arrays) -> None:
    whole = models(sides)
    assert whole.affordable(1e12, beside=0) == 2 + len(LINEAR_DECAYS) - 1
    assert whole.best(9) is not None
    assert whole.spent.queries == 2 + len(LINEAR_DECAYS) - 1
    assert whole.spent.seconds > 0
    one = models(sides, NetworkLimits(parameters=200))
    assert one.best(9).architecture["detail"] == "coarse"  # type: ignore[union-attr]
    assert one.spent.queries == len(LINEAR_DECAYS)
    none = models(sides, NetworkLimits(parameters=20))
    assert none.affordable(1e12, beside=0) == 0
    assert none.best(9) is None
    poor = models(sides)
    assert poor.best(1) is not None
    assert poor.spent.queries == 1
    assert models(sides).best(0) is None


@pytest.mark.parametrize("beside", [0.0, 1e10 / 3])
def test_flops_that_are_made_to_pay_for_a_number_of_models_do(sides: Arrays, beside: float) -> None:
    linear = models(sides)
    for number in range(5):
        for flops in (1.0, 1e7 / 3, 1e8 / 3, 1e9 / 3, 1e10 / 3, 1e11 / 3):
            made = linear.nearest(flops, beside=beside, number=number)
            assert linear.affordable(made, beside=beside) == number
            if linear.affordable(flops, beside=beside) == number:
                assert made == pytest.approx(flops, rel=1e-11)
    least = linear.nearest(1.0, beside=beside, number=4)
    assert linear.affordable(least * (1 - 1e-8), beside=beside) == 3
    linear.best(4)
    assert linear.spent.flops <= least - beside


def test_vectors_of_many_words_count_and_steps_are_bounded() -> None:
    def counted(words: int, examples: int) -> LinearModels:
        part, few = (
            lm.Split(torch.ones(number, 4, dtype=torch.int64), torch.arange(number) % 2) for number in (examples, 8)
        )
        task = lm.Task("toy", 2, part, few, few, vocabulary=words)
        limits = NetworkLimits(parameters=200_000)  # no groups of neighbours
        return LinearModels(Views(task, {}, lm.spaces.LinearSpace(), limits), kind_named("texts"), 0, None)

    assert counted(100, 200).affordable(4e9, beside=0) == len(LINEAR_DECAYS)
    assert counted(20_000, 200).affordable(4e9, beside=0) == 0
    for examples, seen in ((200, 15_000), (40_000, 40_000), (120_000, 120_000)):
        recipe = counted(10, examples).recipe
        assert recipe.epochs * examples == seen
        assert recipe.epochs * -(-examples // recipe.batch_size) <= 1000


@pytest.fixture
def letters() -> tuple[list[str], list[str]]:
    """Texts whose words are all new, and whose neighbouring characters tell their class."""
    generator = np.random.default_rng(0)
    words = ("".join(generator.choice([*"aeiou"], 2)) + own for own in ["lo", "ko"] * 80)
    return [f"say {one}{place}{generator.integers(99)}" for place, one in enumerate(words)], ["l", "k"] * 80


def models_of_texts(letters: tuple[list[str], list[str]], **limits: float) -> LinearModels:
    task = lm.task_from_texts(*letters)
    ways = other_ways(letters, task, kind=None, test=None, group=None)
    views = Views(task, ways, lm.spaces.LinearSpace(), NetworkLimits(**limits)).in_space(lm.spaces.LinearSpace())
    return LinearModels(views, kind_named("texts"), 0, None)


def test_neighbouring_characters_decide_where_words_are_all_new(letters: tuple[list[str], list[str]]) -> None:
    linear = models_of_texts(letters)
    best = linear.best(4)
    assert best is not None
    assert (best.view.label, best.features) == ("characters", "counts of up to four neighbouring tokens")
    assert best.value == 1.0
    assert {one.view.label for one in linear.scored} == {"characters"}
    best = models_of_texts(letters, parameters=100_000).best(1)
    assert best is not None
    assert (best.view.label, best.features) == ("words", "counts of tokens")


def test_many_examples_choose_among_all_features(
    letters: tuple[list[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_models, "MANY_CHOOSE", 20)
    linear = models_of_texts(letters)
    best = linear.best(2)
    assert best is not None
    assert best.view.label == "characters"
    assert {one.view.label for one in linear.scored} == {"words", "characters"}


def test_words_are_counted_where_flops_do_not_pay_for_neighbouring_characters(
    letters: tuple[list[str], list[str]],
) -> None:
    linear = models_of_texts(letters)
    assert [linear.affordable(flops, beside=0) for flops in (1e7, 7e10, 1e12)] == [0, 3, 6]
    for beside in (0.0, 1e11, 1e13):
        for part in (1e6, 3e7, 1e8, 7e10, 1e11, 2e11, 1e12):
            number = linear.affordable(part + beside, beside=beside)
            for other in (1.0, 1e11 / 3, 1e13 / 3):
                told = linear.nearest(other, beside=beside, number=number)
                assert linear.affordable(told, beside=beside) == number
    best = linear.best(3)
    assert best is not None
    assert {one.view.label for one in linear.scored} == {"words"}
    assert linear.spent.queries == len(LINEAR_DECAYS)


def fine_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the linear model of the finest features be better than all else."""
    plain = TrainingEstimator.__call__

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        found = plain(self, architecture, **more)
        value = min(found.value, 0.9) if self.space.name == "LayeredSpace" else float(architecture["detail"] == "fine")
        return lm.estimators.Score(value, found.cost, found.weights)

    monkeypatch.setattr(TrainingEstimator, "__call__", score)


def test_a_linear_model_is_taken_where_nothing_is_left_of_a_better_network(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = TrainingEstimator.__call__

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        found = plain(self, architecture, **more)
        return lm.estimators.Score(0.9 if self.space.name == "LayeredSpace" else 0.8, found.cost, found.weights)

    def fail(*args: Any, **more: Any) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(TrainingEstimator, "__call__", score)
    monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    monkeypatch.setattr(last_training, "fit_child", fail)
    with pytest.warns(UserWarning, match="the last training failed"):
        found = call(sides)
    assert (found.space, found.stopped) == ("LinearSpace", True)
    assert found.linear_model.endswith(": the linear model was taken, as the network's training failed")


def test_an_interrupt_leaves_a_linear_model_that_is_better(
    sides: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine_wins(monkeypatch)
    whole = call(sides)
    plain, networks = TrainingEstimator.__call__, list[lm.Architecture]()

    def stop(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        networks.extend([architecture] if self.space.name == "LayeredSpace" else [])
        if len(networks) == 2:  # which is trained on, as a linear model is better
            raise KeyboardInterrupt
        return plain(self, architecture, **more)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingEstimator, "__call__", stop)
        stopped = call(sides, output=tmp_path)
    assert (stopped.stopped, stopped.space, stopped.val_score) == (True, "LinearSpace", 1.0)
    assert stopped.linear_model.endswith("%: the linear model was taken")
    exported, inputs = lm.load_exported(tmp_path), torch.from_numpy(sides[0][:3, None])
    torch.testing.assert_close(exported.predict(inputs), stopped.network(inputs).softmax(1))
    goes_on = call(sides, output=tmp_path)
    assert not goes_on.stopped
    assert (goes_on.linear_model, goes_on.budget) == (whole.linear_model, whole.budget)
    assert torch.equal(goes_on.network.head.weight, whole.network.head.weight)


def test_an_interrupt_leaves_a_linear_model_that_is_best_on_the_front(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine_wins(monkeypatch)
    interrupt(monkeypatch, linear_comparison, at=1)  # in the last training of a linear model
    stopped = call(sides, (1e8, 5e8), pareto="flops")
    assert (stopped.stopped, stopped.space, stopped.val_score) == (True, "LinearSpace", 1.0)
    assert sorted(one.space for one in stopped.front) == ["LayeredSpace", "LinearSpace"]
    assert stopped.linear_model.endswith("%: it is on the front")


def test_told_flops_are_held(sides: Arrays) -> None:
    for training in (1.18e8, 1.3e8, 2.3e8):
        result = call(sides, (1e8, training))
        assert result.training_cost.flops <= training


@pytest.mark.parametrize("fails", [False, True])
def test_told_flops_are_held_where_the_last_training_costs_most(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    training = 1.02 * models(sides).nearest(1.0, beside=0, number=2)
    fine_wins(monkeypatch)
    if fails:
        linear_trainings_fail(monkeypatch)
    result = call(sides, (1e8, training), max_flops=100_000)
    assert result.space == ("LayeredSpace" if fails else "LinearSpace")
    assert "of average pixels and edges, has validation accuracy 100.0 %" in result.linear_model
    assert 0.9 * training < result.training_cost.flops <= training


def test_a_linear_model_that_is_slower_now_is_told_of_and_costs_nothing_more(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LimitedSpace.check

    def check(self: LimitedSpace, architecture: lm.Architecture) -> str | None:
        linear = self.space.name == "LinearSpace"
        return "it takes 9 ms, and the limit is 5 ms" if linear else plain(self, architecture)

    fit, epochs = last_training.fit_child, []

    def counted(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        epochs.append(child.recipe.epochs)
        return fit(child, *args, **more)

    monkeypatch.setattr(LimitedSpace, "check", check)
    monkeypatch.setattr(last_training, "fit_child", counted)
    fine_wins(monkeypatch)
    result = call(sides, max_flops=100_000)
    assert result.space == "LayeredSpace"
    assert result.linear_model.endswith(
        "%: the linear model is slower now (it takes 9 ms, and the limit is 5 ms), so the network was taken"
    )
    assert len(epochs) == 1
    assert 0.7 * SHORT[1] < 3 * 48 * epochs[0] * result.flops < result.training_cost.flops <= SHORT[1]


def test_an_epoch_of_the_network_is_left_where_it_costs_more_than_linear_models(sides: Arrays) -> None:
    linear, epoch = models(sides), 1e12
    whole = linear.nearest(1.0, beside=epoch, number=1)
    best = linear.best(1)
    assert best is not None
    task, space = linear.views.usual.task, linear.views.space
    images = linear.recipe.epochs * (len(task.train) + len(task.val))  # type: ignore[arg-type]
    last = training_cost(space, best.architecture, task.shape, task.way, images=images)
    assert linear.spent.flops + last.flops + epoch <= whole


def test_a_training_on_that_diverges_leaves_the_network_as_it_was(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, networks = TrainingEstimator.__call__, []

    def diverge(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        if self.space.name == "LayeredSpace":
            networks.append(architecture)
            if len(networks) == 2:
                raise ArithmeticError("training diverged")
        return plain(self, architecture, **more)

    ordinary = call(sides)
    monkeypatch.setattr(TrainingEstimator, "__call__", diverge)
    result = call(sides)
    assert len(networks) == 2
    told = f"the best network {100 * result.record.best.value:.1f} %: the linear model was taken"
    assert result.linear_model.endswith(told)
    assert result.training_cost.flops == ordinary.training_cost.flops


@pytest.mark.parametrize("failure", [MemoryError("no memory"), None], ids=["raises", "diverges"])
def test_the_network_is_taken_where_the_last_training_of_the_linear_model_fails(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    plain = linear_comparison.fit_child

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        if child.space.name == "LinearSpace":
            if failure is not None:
                raise failure
            child.network.head.weight.data[0] = torch.inf  # type: ignore[union-attr, index]
        return cost

    monkeypatch.setattr(linear_comparison, "fit_child", fit)
    result = call(sides)
    assert result.space == "LayeredSpace"
    told = "MemoryError: no memory" if failure else "ArithmeticError: training diverged: the weights 'head.weight' are"
    assert f"%: its last training failed ({told}" in result.linear_model
    assert result.linear_model.endswith("so the network was taken")
    assert result.images == (48, 12)
    assert result.training_cost.flops <= SHORT[1]


def test_seconds_of_linear_models_come_off_the_minutes(sides: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: Pace(1e8, 0.0, 0.0))
    monkeypatch.setattr(Pace, "averaged", lambda self, trainings, scored: self)
    late, clock = 0.0, budget_planner.perf_counter
    monkeypatch.setattr(budget_planner, "perf_counter", lambda: clock() + late)
    plain = LinearModels.best

    def slow(self: LinearModels, number: int) -> Any:
        nonlocal late
        late = 20.0
        return plain(self, number)

    monkeypatch.setattr(LinearModels, "best", slow)
    result = call(sides, None, minutes=0.5)
    assert result.linear_model
    assert result.budget is not None
    assert 5e8 < sum(result.budget) < 1.2e9  # ten of thirty seconds, and what linear models cost
    late = 0.0
    monkeypatch.setattr(LinearModels, "best", plain)
    again = call(sides, result.budget)
    assert (again.budget, again.linear_model) == (result.budget, result.linear_model)
    assert again.training_cost.flops == result.training_cost.flops
    assert again.training_cost.flops <= result.budget[1]


def test_a_space_that_is_given_is_another_search(sides: Arrays, tmp_path: Path) -> None:
    call(sides, output=tmp_path / "out")
    space = lm.default_space(lm.ImageShape(1, 8, 8))
    with pytest.raises(ValueError, match="give another 'output'"):
        call(sides, output=tmp_path / "out", space=space)


def test_a_network_that_is_still_behind_is_trained_on_with_most_of_the_rest(
    sides: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, trainings = TrainingEstimator.__call__, []

    def score(self: TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        found = plain(self, architecture, **more)
        linear = self.space.name == "LinearSpace"
        trainings.extend([] if linear else [found.cost.flops])
        return lm.estimators.Score(1.0 if linear else 0.5, found.cost, found.weights)

    monkeypatch.setattr(TrainingEstimator, "__call__", score)
    result = call(sides, (1e8, 2e9))
    assert result.space == "LinearSpace"
    one, other = trainings[-2:]
    assert one == pytest.approx(1e9, rel=0.1)
    assert other == pytest.approx(0.8e9, rel=0.1)
    assert 0.85 * 2e9 < result.training_cost.flops <= 2e9
