"""Networks that ``auto`` trains side by side, and the threads of its last training."""

from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import paced, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_division, last_training
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.training import child as training_child

Arrays = tuple[np.ndarray, list[str]]

pytestmark = pytest.mark.usefixtures("short_trials")


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs are enough for a member."""
    monkeypatch.setattr(ImageKind, "member_epochs", 4)


def test_the_result_does_not_depend_on_their_number(arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path) -> None:
    found, given = [], {"flops": (4e6, 6e6), "space": space, "progress": False}
    for number, output in ((1, None), (3, tmp_path)):
        found.append(lm.auto(arrays, workers=number, output=output, **given))
        assert active_children() == []
    one, other = found
    assert one.ensemble > 1
    assert len(one.record.trials) > 4
    assert same_weights(one.network, other.network)
    both = (one.record.trials, other.record.trials)
    trials = [[replace(each, cost=replace(each.cost, seconds=0.0)) for each in own] for own in both]
    assert trials[0] == trials[1]
    assert (one.test_score, one.val_score, one.budget) == (other.test_score, other.val_score, other.budget)
    assert one.training_cost.flops == other.training_cost.flops
    assert "workers" not in other.command
    again = lm.auto(arrays, workers=1, output=tmp_path, **given)  # a finished search is one for any number
    assert same_weights(one.network, again.network)


def test_threads_are_found_for_minutes_alone(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageKind, "member_epochs", 0)
    paced(monkeypatch, 1e6)
    monkeypatch.setattr(budget_division, "threads_that_pay", lambda *args, most, **more: most)
    used, plain = [], training_child.fit_child

    def fit(child: lm.Child, part: lm.Split, **more: Any) -> lm.Cost:
        used.append(torch.get_num_threads())
        return plain(child, part, **more)

    monkeypatch.setattr(last_training, "fit_child", fit)
    given: dict[str, Any] = {"space": space, "workers": 2, "progress": False}
    first = lm.auto(arrays, minutes=0.03, **given)
    assert (first.threads, used, torch.get_num_threads()) == (2, [2], 1)
    assert first.budget is not None
    assert ", threads=2" in first.command
    again = lm.auto(arrays, flops=first.budget, threads=2, **given)
    assert same_weights(first.network, again.network)
    assert again.command == first.command
    other = lm.auto(arrays, flops=first.budget, **given)
    assert (other.threads, used[1:]) == (1, [2, 1])
    limited = lm.auto(arrays, minutes=0.03, max_latency=1, **given)
    assert limited.threads == 1  # a latency would be of other threads than those that chose the network
    alone = lm.auto(arrays, minutes=0.03, **{**given, "workers": 1})
    assert alone.threads == 1
