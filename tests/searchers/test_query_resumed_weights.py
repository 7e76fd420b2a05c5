"""A search that was interrupted hands over what was trained for its choice, as an uninterrupted one does."""

import optuna
import pytest
import torch
from query_toys import Sums, search, told


@pytest.mark.parametrize("stop_at", [3, 9, 18])
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


def test_nothing_is_trained_again_where_the_estimator_trains_nothing():
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(KeyboardInterrupt):
        search(Sums(stop_at=19), storage=storage)
    resumed = Sums()
    assert search(resumed, storage=storage).weights is None
    assert len(resumed.calls) == 1


def test_a_finished_search_that_is_asked_again_trains_its_choice_alone():
    storage = optuna.storages.InMemoryStorage()
    whole = search(Sums(weights=True), storage=storage)
    again = Sums(weights=True)
    found = search(again, storage=storage)
    assert [architecture for architecture, _, _ in again.calls] == [whole.architecture]
    assert all(torch.equal(found.weights[name], whole.weights[name]) for name in whole.weights)
    broken = Sums(lambda architecture: torch.OutOfMemoryError(), weights=True)
    assert search(broken, storage=storage).weights is None
