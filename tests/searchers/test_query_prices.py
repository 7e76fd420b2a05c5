"""A search whose architectures have different prices, under a budget of FLOPs."""

import optuna
import pytest
from query_toys import Priced, resume, search, told

from lit_metanas.records import Budget
from lit_metanas.records.record import TooSmallBudgetError

LIMIT = 2000


def test_it_resumes_as_if_uninterrupted():
    def run(estimator, storage=None):
        sampler = optuna.samplers.TPESampler(n_startup_trials=3)
        return search(estimator, budget=Budget(flops=LIMIT), sampler=sampler, storage=storage)

    run(estimator := Priced())
    for stop_at in range(1, len(estimator.calls)):
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
