"""A search that was interrupted hands over what was trained for its choice, as an uninterrupted one does."""

import optuna
import pytest
import torch
from query_toys import Sums, search, told


@pytest.mark.parametrize("stop_at", [3, 18])
def test_what_was_trained_is_handed_over_after_an_interruption(stop_at):
    storage = optuna.storages.InMemoryStorage()
    whole = search(Sums(weights=True))
    with pytest.raises(KeyboardInterrupt):
        search(Sums(weights=True, stop_at=stop_at), storage=storage)
    resumed = Sums(weights=True)
    found = search(resumed, storage=storage)
    assert told(found.record) == told(whole.record)
    assert found.weights.keys() == whole.weights.keys()
    assert all(torch.equal(found.weights[name], whole.weights[name]) for name in whole.weights)
    assert len(resumed.calls) <= 20 - stop_at + 1  # the chosen one once more, at most


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
