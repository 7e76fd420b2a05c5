"""Children that fail, and those that cost too much: what is kept of them, and how a search goes on."""

import math
from functools import partial

import optuna
import pytest
import torch
from query_toys import Priced, Sums, resume, search, told, value

from lit_metanas.records import Budget
from lit_metanas.records.record import FailedWorkError, TooSmallBudgetError


def odd_fails(error):
    return lambda architecture: error() if int(architecture["x"]) % 2 else None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, ArithmeticError, ValueError])
def test_failing_children_are_kept_with_their_reason_and_never_chosen(error):
    storage = optuna.storages.InMemoryStorage()
    estimator = Sums(odd_fails(error))
    found = search(estimator, budget=Budget(queries=12), storage=storage, failures=13)
    failed = [trial for trial in found.record.trials if int(trial.architecture["x"]) % 2]
    assert failed
    assert all(error.__name__ in trial.failure for trial in failed)
    assert all(trial.value == -math.inf for trial in failed)
    scored = [a for a, _, _ in estimator.calls if int(a["x"]) % 2 == 0]
    assert found.architecture == max(scored, key=value)
    (study,) = (optuna.load_study(study_name=s, storage=storage) for s in optuna.get_all_study_names(storage))
    kept = [t for t in study.trials if "failure" in t.user_attrs]
    assert len(kept) == len(failed)
    assert {t.state for t in kept} == {optuna.trial.TrialState.FAIL}


def test_too_many_failures_in_a_row_stop_the_search_and_name_the_last():
    estimator = Sums(lambda architecture: ValueError(f"cannot build {architecture['x']}"))
    with pytest.raises(FailedWorkError, match=r"stopped after 4 failures in a row, the last of x=. y=. z=.: Val"):
        search(estimator, failures=4)
    assert len(estimator.calls) == 4


def test_a_search_with_failures_resumes_as_if_uninterrupted():
    broken, sampler = odd_fails(lambda: RuntimeError("odd")), optuna.samplers.TPESampler(n_startup_trials=4)
    *_, calls = resume(9, make=partial(Sums, broken), failures=20, sampler=sampler)
    assert calls == 20 - 9


def test_a_finished_search_that_is_asked_again_trains_its_choice_alone():
    storage = optuna.storages.InMemoryStorage()
    whole = search(Sums(weights=True), storage=storage)
    again = Sums(weights=True)
    found = search(again, storage=storage)
    assert [architecture for architecture, _, _ in again.calls] == [whole.architecture]
    assert all(torch.equal(found.weights[name], whole.weights[name]) for name in whole.weights)
    broken = Sums(lambda architecture: torch.OutOfMemoryError(), weights=True)
    assert search(broken, storage=storage).weights is None


@pytest.mark.parametrize("suggestion", [0, 1, 16])
def test_a_trial_that_was_broken_off_while_it_was_drawn_is_drawn_as_in_one_go(suggestion, monkeypatch):
    storage = optuna.storages.InMemoryStorage()
    options = {"sampler": optuna.samplers.TPESampler(n_startup_trials=4)}
    whole = search(Sums(weights=True), **options)
    original, count = optuna.Trial.suggest_categorical, iter(range(1000))

    def broken(self, *args):
        if next(count) == suggestion:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(optuna.Trial, "suggest_categorical", broken)
    with pytest.raises(KeyboardInterrupt):
        search(Sums(weights=True), storage=storage, **options)
    monkeypatch.undo()
    found = search(Sums(weights=True), storage=storage, **options)
    assert told(found.record) == told(whole.record)


LIMIT = 2000


def test_a_search_of_different_prices_resumes_as_if_uninterrupted():
    def run(estimator, storage=None):
        sampler = optuna.samplers.TPESampler(n_startup_trials=3)
        return search(estimator, budget=Budget(flops=LIMIT), sampler=sampler, storage=storage)

    run(estimator := Priced())
    for stop_at in range(1, len(estimator.calls), 3):
        storage = optuna.storages.InMemoryStorage()
        whole, found, _ = resume(stop_at, make=Priced, storage=storage, searched=run)
        again = run(Priced(), storage)  # nothing is left to do
        assert told(again.record) == told(whole.record)
        assert again.untried == found.untried == whole.untried


def test_a_larger_budget_pays_for_what_a_smaller_one_refused():
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(TooSmallBudgetError, match="paid for no architecture"):
        search(Priced(), budget=Budget(flops=5), storage=storage)
    found = search(Priced(), budget=Budget(flops=LIMIT), storage=storage)
    assert told(found.record) == told(search(Priced(), budget=Budget(flops=LIMIT)).record)
    with pytest.raises(TooSmallBudgetError):  # now the study has trials that were paid for
        search(Priced(), budget=Budget(flops=5), storage=storage)
    trials = optuna.load_study(study_name="digits/Digits/seed 0", storage=storage).trials
    paid = [trial for trial in trials if trial.user_attrs.get("cost", {}).get("flops")]
    assert len(paid) == len(found.record.trials)
