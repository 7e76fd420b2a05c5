"""A linear model that is averaged with networks for texts, which may read them in another way."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, linear_trainings_fail, same_weights

import lit_metanas as lm
from lit_metanas.automl.steps import auto_steps, budget_planner, last_training, linear_comparison, linear_models
from lit_metanas.automl.steps.last_training import LastTraining, Mean
from lit_metanas.automl.steps.linear_models import LinearModel, LinearModels
from lit_metanas.automl.steps.time_plan import Pace
from lit_metanas.automl.steps.views import JoinedView, Views
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.kinds.texts.joined_tokens import JoinedTokens
from lit_metanas.records.statistics import wilson
from lit_metanas.spaces.any_input import linear_space
from lit_metanas.training.child import WithLinear, build_network, chosen_child, fit_child, members_of

Texts = tuple[list[str], list[str]]
BOTH = ": both were taken"


@pytest.fixture(autouse=True)
def few_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear models that are trained in a moment."""
    monkeypatch.setattr(linear_models, "LINEAR_STEPS", 20)
    monkeypatch.setattr(linear_space, "GROUPS", 256)


@pytest.fixture
def texts() -> Texts:
    """Texts of two classes, which differ by some of their words and by how the last one ends."""
    draw = np.random.default_rng(0)

    def text(label: int, end: str) -> str:
        words = [f"w{number}" for number in draw.integers(5 * label, 5 * label + 20, 3)]
        return " ".join([*words, "".join(draw.choice([*"aeiou"], 3)) + end])

    return [text(label, end) for _ in range(30) for label, end in enumerate(("lo", "ko"))], ["l", "k"] * 30


@pytest.fixture
def call(texts: Texts) -> Callable[..., lm.SearchResult]:
    """Searches one network, and trains what it finds for so many FLOPs."""

    def run(training: float = 1e9, **more: Any) -> lm.SearchResult:
        return lm.auto(texts, flops=(2e8, training), records=[], progress=False, **more)

    return run


def patch_mean(monkeypatch: pytest.MonkeyPatch, value: Callable[..., float]) -> None:
    """Let the validation score of the mean be what a function of the linear model, and of what was found, says."""
    plain = LastTraining.mean_with

    def mean_with(self: LastTraining, linear: LinearModel, found: lm.records.SearchOutcome) -> Mean | None:
        made = plain(self, linear, found)
        return made and made._replace(value=value(self, linear, found, *made))

    monkeypatch.setattr(LastTraining, "mean_with", mean_with)


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean tells all validation examples rightly."""
    patch_mean(monkeypatch, lambda *args: 1.0)


def test_the_mean_is_that_of_both_scores() -> None:
    space, inputs = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(4,)), torch.randint(1, 9, (6, 5))
    linear, (_, fine) = lm.spaces.LinearSpace(), lm.spaces.LinearSpace().architectures()
    one = space.sample(torch.Generator().manual_seed(0))
    network = build_network(space, one, lm.TokenShape(9, 3), 4, ensemble=2).double().eval()
    model = build_network(linear, fine, lm.TokenShape(9, 2), 4).double().eval()
    both = WithLinear(network, model, steps=(3, 2)).eval()
    with torch.no_grad():
        scores, own, other = both(inputs), network(inputs[:, :3]), model(inputs[:, 3:])
        for row in range(6):
            for place in range(4):
                mean = (float(own[row, place]) + float(other[row, place])) / 2
                assert float(scores[row, place]) == pytest.approx(mean, abs=1e-12)
    assert members_of(both) == 2
    with pytest.raises(ValueError, match="have 3 tokens, and the network takes 3 of one kind and then 2 of another"):
        both(inputs[:, :3])


@pytest.mark.usefixtures("good")
def test_networks_read_words_and_the_linear_model_characters(call: Any, texts: Texts) -> None:
    result = call(4e9)
    assert (result.space, result.view, result.linear_view) == ("SequenceSpace", "words", "characters")
    assert result.linear == lm.Architecture({"detail": "fine"})
    assert result.linear_model.endswith(f"the mean of their scores 100.0 %{BOTH}")
    assert f"  ensemble of {result.ensemble} such networks and a linear model: " in repr(result)
    assert result.ensemble == members_of(result.network) > 1
    assert result.parameters == sum(own.numel() for own in result.network.parameters())
    assert result.training_cost.flops <= 4e9
    assert isinstance(result.preprocessing, JoinedTokens)
    first, second = result.preprocessing.first, result.preprocessing.second
    with torch.no_grad():
        scores = result.network.network(first.encode(texts[0])) + result.network.linear(second.encode(texts[0]))
    expected = (scores / 2).softmax(dim=1).tolist()
    for row, found in zip(expected, result.predict(texts[0]), strict=True):
        assert [found[name] for name in result.classes] == pytest.approx(row)
    again = call(4e9)
    assert same_weights(result.network, again.network)


@pytest.mark.usefixtures("good")
def test_the_linear_model_learns_from_all_but_the_test_part(call: Any, texts: Texts) -> None:
    result, task = call(), lm.task_from_texts(*texts, preprocessing=lm.kinds.Characters(steps=128))
    found = lm.records.SearchRecord(task.id), result.linear
    recipes = [
        lm.Recipe(epochs=20, batch_size=50, learning_rate=0.03, weight_decay=decay, inherit=False)
        for decay in linear_models.LINEAR_DECAYS
    ]
    trained = []
    for recipe in recipes:
        outcome = lm.records.SearchOutcome(found[1], None, found[0])
        child = chosen_child(task, lm.spaces.LinearSpace(), outcome, recipe, 0)
        fit_child(child, all_but_test(task), seed=0)
        trained.append(child.network)
    assert any(same_weights(one, result.network.linear) for one in trained)


@pytest.mark.parametrize(("errors", "both"), [(0.9, True), (1.1, False)])
def test_one_that_leads_by_a_standard_error_is_taken_alone(
    call: Any, monkeypatch: pytest.MonkeyPatch, errors: float, both: bool
) -> None:
    def mean(
        self: LastTraining, linear: LinearModel, found: lm.records.SearchOutcome, joined: JoinedView, _: float
    ) -> float:
        best, number = max(linear.value, value_of(found)), len(validation_part(joined.view.task))
        below = (best - step / 1000 for step in range(1000))
        return min(below, key=lambda value: abs(best - value - errors * wilson(max(value, 0.0), number, z=1)))

    patch_mean(monkeypatch, mean)
    result = call()
    assert "the mean of their scores" in result.linear_model or not both
    assert (result.linear_model.endswith(BOTH), result.linear is not None) == (both, both)


def value_of(found: lm.records.SearchOutcome) -> float:
    """The validation score of what was found."""
    return found.record.value_of(found.architecture, found.recipe)


def test_its_validation_score_is_that_of_what_was_searched(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[tuple[float, float]]()

    def mean(
        self: LastTraining, linear: LinearModel, found: lm.records.SearchOutcome, joined: JoinedView, value: float
    ) -> float:
        alone = chosen_child(joined.networks.task, self.views.space, found, lm.Recipe(), 0).network.eval()
        begun = lm.records.SearchOutcome(linear.architecture, linear.weights, found.record)
        other = chosen_child(linear.view.task, lm.spaces.LinearSpace(), begun, lm.Recipe(), 0).network.eval()
        parts = [validation_part(one.task) for one in (joined.networks, linear.view)]
        with torch.no_grad():
            first, second = alone(parts[0].inputs), other(parts[1].inputs)
        right = [scores.argmax(dim=1) == parts[0].labels for scores in (first, second, first + second)]
        told = value_of(found), linear.value, value
        seen.extend(zip(told, (float(each.double().mean()) for each in right), strict=True))
        return 1.0

    patch_mean(monkeypatch, mean)
    assert call().val_score == 1.0
    assert len(seen) == 3
    for told, expected in seen:
        assert told == pytest.approx(expected)


@pytest.mark.usefixtures("good")
def test_both_together_are_within_the_limits(call: Any) -> None:
    both = call()
    assert both.linear is not None
    assert call(max_parameters=both.parameters).linear == both.linear
    alone = call(max_parameters=both.parameters - 1)
    assert (alone.linear, alone.ensemble) == (None, 1)
    assert alone.parameters < both.parameters
    assert call(max_flops=both.flops).linear == both.linear
    assert call(max_flops=both.flops - 1).linear is None
    assert call(max_latency=10).linear is None
    assert call(max_size="10MB").linear is None
    several = call(4e9, max_parameters=both.parameters + 1)
    assert (several.ensemble, several.parameters) == (1, both.parameters)


@pytest.mark.usefixtures("good")
def test_it_is_exported_and_read_again(
    call: Any, texts: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call(4e9, output=tmp_path)
    program = lm.load_exported(tmp_path)
    expected = [[one[name] for name in result.classes] for one in result.predict(texts[0])]
    assert np.allclose(program.predict(texts[0]).numpy(), expected, atol=1e-5)
    assert program.show(texts[0][:2]) == [max(one, key=one.get) for one in result.predict(texts[0][:2])]
    assert "such networks and a linear model)" in (tmp_path / "README.md").read_text()
    (row,) = lm.records.read_results(tmp_path / "results.json")
    (chosen,) = lm.records.read_architectures(tmp_path / "architectures.json")
    assert (row.parameters, row.linear, chosen.linear) == (result.parameters, result.linear, result.linear)
    assert "words; of the linear model: characters" in (tmp_path / "README.md").read_text()
    monkeypatch.setattr(auto_steps.AutoSteps, "result", lambda self: pytest.fail("done again"))
    again = call(4e9, output=tmp_path)
    assert same_weights(result.network, again.network)
    for name in ("ensemble", "linear", "linear_view", "linear_model", "parameters", "flops", "test_score", "view"):
        assert getattr(again, name) == getattr(result, name)
    assert again.predict(texts[0][:3]) == result.predict(texts[0][:3])


@pytest.mark.slow
@pytest.mark.usefixtures("good")
def test_onnxruntime_says_the_same(call: Any, texts: Texts, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    result = call()
    inputs = result.preprocessing.encode(texts[0])
    words = lm.Split(result.preprocessing.first.encode(texts[0]), torch.zeros(len(texts[0]), dtype=torch.int64))
    with pytest.raises(ValueError, match=r"The examples for int8 have shape \(32,\), and the network takes sequences"):
        result.export(tmp_path, int8=words)
    assert not [*tmp_path.iterdir()]
    result.export(tmp_path, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (scores,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    assert np.allclose(scores, result.network(inputs).detach().numpy(), atol=1e-4)


@pytest.mark.usefixtures("good")
def test_where_its_last_training_fails_the_network_is_alone(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    linear_trainings_fail(monkeypatch)
    result = call()
    assert (result.linear, result.view) == (None, "words")
    assert isinstance(result.preprocessing, lm.kinds.Words)
    assert result.linear_model.endswith(": its last training failed (MemoryError: no memory), so the network was taken")


@pytest.mark.usefixtures("good")
def test_an_interrupt_leaves_it_with_what_was_trained(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1)
        stopped = call(output=tmp_path)
    assert stopped.stopped
    assert same_weights(stopped.network.linear, whole.network.linear)
    goes_on = call(output=tmp_path)
    assert not goes_on.stopped
    assert same_weights(goes_on.network, whole.network)


@pytest.mark.usefixtures("good")
def test_an_interrupt_of_its_own_training_leaves_it_as_it_was_compared(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, linear_comparison, at=1)
        stopped = call(output=tmp_path)
    assert (stopped.stopped, stopped.linear, stopped.view) == (True, whole.linear, "words")
    assert (stopped.linear_model, stopped.val_score) == (whole.linear_model, 1.0)
    assert not same_weights(stopped.network.linear, whole.network.linear)
    assert same_weights(call(output=tmp_path).network, whole.network)


@pytest.mark.usefixtures("good")
def test_where_all_networks_diverge_it_is_averaged_with_what_was_searched(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, plain = call(), last_training.fit_child

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        next(child.network.parameters()).data.fill_(torch.nan)
        return cost

    monkeypatch.setattr(last_training, "fit_child", fit)
    with pytest.warns(UserWarning, match="the network is as the search trained it"):
        result = call()
    assert (result.ensemble, result.linear) == (1, whole.linear)
    assert same_weights(result.network.linear, whole.network.linear)
    assert result.training_cost.flops == whole.training_cost.flops


def test_where_the_memory_is_too_small_for_both_they_are_compared(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def joined(*args: Any) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(Views, "joined", joined)
    result = call()
    assert result.linear is None
    assert "mean" not in result.linear_model


def test_the_time_of_its_last_training_comes_off_the_minutes(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    pace = 1e9
    monkeypatch.setattr(Pace, "averaged", lambda self, trainings, scored: self)
    monkeypatch.setattr(budget_planner, "measure_pace", lambda *args, **more: Pace(pace, 0.0, 0.0))
    taken, plain = list[float](), LinearModels.last_time

    def last_time(self: LinearModels, model: LinearModel) -> float:
        taken.append(plain(self, model))
        return taken[-1]

    monkeypatch.setattr(LinearModels, "last_time", last_time)
    begin = perf_counter()
    result = lm.auto(texts, minutes=0.2, records=[], progress=False)
    assert result.budget is not None
    gone = 12 - (result.budget[1] + taken[0]) / pace  # before the trainings after the search
    assert 0 < gone <= perf_counter() - begin
    steps, parameters = 20 * 1, 256 * 32
    assert taken[0] >= 48 / 36 * linear_models.FLOPS_OF_A_PARAMETER * steps * parameters


@pytest.mark.usefixtures("good")
def test_a_classifier_is_pickled_with_it(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="needs the extra sklearn")

    def short(task: lm.Task, **more: Any) -> lm.SearchResult:
        return lm.auto(task, flops=(2e8, 4e9), records=[], progress=False)

    monkeypatch.setattr("lit_metanas.automl.auto_estimator.auto", short)
    X, y = texts
    model = lm.AutoClassifier(minutes=1).fit(X, y)
    assert isinstance(model.network_, WithLinear)
    assert isinstance(model.preprocessing_, lm.kinds.Words)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
