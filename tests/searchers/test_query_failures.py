"""A child that fails is a failed trial with its reason."""

import math

import optuna
import pytest
import torch
from query_toys import SPACE, Sums, search, told, value

from lit_metanas.estimators import Score, TrainingEstimator
from lit_metanas.records import Budget, SearchRecord, Trial
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import Recipe


def odd_fails(error):
    return lambda architecture: error() if int(architecture["x"]) % 2 else None


ERRORS = {
    "no memory": torch.OutOfMemoryError,
    "no memory here": MemoryError,
    "diverged": lambda: ArithmeticError("training diverged"),
    "not built": lambda: ValueError("no such layer"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_failing_children_are_kept_with_their_reason_and_never_chosen(name):
    storage = optuna.storages.InMemoryStorage()
    estimator = Sums(odd_fails(ERRORS[name]))
    found = search(estimator, budget=Budget(queries=12), storage=storage, failures=13)
    failed = [trial for trial in found.record.trials if int(trial.architecture["x"]) % 2]
    assert failed
    assert all(type(ERRORS[name]()).__name__ in trial.failure for trial in failed)
    assert all(trial.value == -math.inf for trial in failed)
    scored = [a for a, _, _ in estimator.calls if int(a["x"]) % 2 == 0]
    assert found.architecture == max(scored, key=value)
    assert [v for _, v in found.record.curve] == sorted({t.value for t in found.record.trials if t.scored and
            t.value >= max(u.value for u in found.record.trials[: found.record.trials.index(t) + 1])})  # fmt: skip
    (study,) = (optuna.load_study(study_name=s, storage=storage) for s in optuna.get_all_study_names(storage))
    kept = [t for t in study.trials if "failure" in t.user_attrs]
    assert len(kept) == len(failed)
    assert {t.state for t in kept} == {optuna.trial.TrialState.FAIL}


def test_a_failed_training_is_charged_in_full_and_not_tried_again():
    estimator = Sums(lambda architecture: RuntimeError("boom") if architecture["x"] != "7" else None)
    budget = Budget(flops=5000)
    found = search(estimator, budget=budget, failures=1000, patience=1000)
    assert len({a for a, _, _ in estimator.calls}) == len(estimator.calls) == 50
    assert budget.spent.flops == 5000
    repeated = [t for t in found.record.trials if t.duplicate and t.failure]
    assert all(t.failure == "RuntimeError: boom" for t in repeated)


def test_a_score_that_is_no_number_is_a_failure():
    class Nan(Sums):
        def __call__(self, architecture, *, fidelity, start=None):
            score = super().__call__(architecture, fidelity=fidelity, start=start)
            return Score(math.nan if architecture["x"] == "7" else score.value, score.cost)

    found = search(Nan(), budget=Budget(queries=40))
    failures = {t.failure for t in found.record.trials if t.architecture["x"] == "7"}
    assert failures == {"ArithmeticError: its score is not a number"}


def test_too_many_failures_in_a_row_stop_the_search_and_name_the_last():
    estimator = Sums(lambda architecture: ValueError(f"cannot build {architecture['x']}"))
    with pytest.raises(FailedWorkError, match=r"stopped after 4 failures in a row, the last of x=. y=. z=.: Val"):
        search(estimator, failures=4)
    assert len(estimator.calls) == 4


def test_a_success_ends_the_row():
    count = iter(range(1000))
    estimator = Sums(lambda architecture: None if next(count) % 3 == 2 else ValueError("two of three"))
    found = search(estimator, failures=3, budget=Budget(queries=15))
    assert sum(t.scored for t in found.record.trials) == 5


def test_a_search_in_which_all_failed_names_the_last_reason():
    estimator = Sums(lambda architecture: ValueError("broken"))
    with pytest.raises(FailedWorkError, match=r"scored no architecture in 2 trials; .* because: ValueError: broken"):
        search(estimator, failures=3, budget=Budget(queries=2))


def test_mistakes_of_a_program_are_not_taken_for_failing_children():
    with pytest.raises(TypeError, match="mine"):
        search(Sums(lambda architecture: TypeError("mine")))


def test_a_search_with_failures_resumes_as_if_uninterrupted():
    storage = optuna.storages.InMemoryStorage()
    broken = odd_fails(lambda: RuntimeError("odd"))
    options = {"failures": 20, "sampler": optuna.samplers.TPESampler(n_startup_trials=4)}
    whole = search(Sums(broken), **options)
    with pytest.raises(KeyboardInterrupt):
        search(Sums(broken, stop_at=9), storage=storage, **options)
    resumed = Sums(broken)
    found = search(resumed, storage=storage, **options)
    assert told(found.record) == told(whole.record)
    assert len(resumed.calls) == 20 - 9


def test_a_diverging_training_fails():
    space = LayeredSpace(kernels=(3,), activations=("ReLU",), depths=(1,), widths=(2,))
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(8, 1, 8, 8, generator=generator), torch.arange(2).repeat(4))
    task = Task("t", 2, split, split, split)
    estimator = TrainingEstimator(task, space, 0, Recipe(epochs=1, batch_size=8, learning_rate=math.inf))
    with pytest.raises(ArithmeticError, match=r"training diverged: the weights '.*' are not finite"):
        estimator(space.sample(generator), fidelity=1.0)
    assert 0 <= TrainingEstimator(task, space, 0, Recipe(1, 8))(space.sample(generator), fidelity=1.0).value <= 1


def test_the_best_of_a_record_is_neither_pruned_nor_failed():
    def trial(number, **more):
        return Trial(SPACE.canonical(dict.fromkeys("xyz", str(number))), number / 10, Budget().spent, **more)

    record = SearchRecord("t", [trial(1), trial(5, pruned=True), trial(7, failure="lost"), trial(2)])
    assert record.best.value == 0.2
    with pytest.raises(ValueError, match="tried no architecture"):
        _ = SearchRecord("t", record.trials[1:3]).best
