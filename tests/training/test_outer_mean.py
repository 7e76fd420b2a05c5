"""The account of an outer step over processes."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed

from lit_metanas.meta import Parameters
from lit_metanas.training.collectives import outer_mean


def counted(flops, world=1):
    gradients = Parameters({"a": torch.ones(2)}, {}, {})
    metrics = {"losses": torch.ones(1), "accuracies": torch.ones(1), "finite": torch.ones(1)}
    return outer_mean(gradients, metrics, flops, SimpleNamespace(world_size=world, global_rank=0)).flops


@pytest.mark.parametrize("flops", [0, 12_345, 2**44 + 3 * 2**20 + 7, (2**24 + 1) * 2**20 + 5, 2**62 - 1])
def test_flops_are_exact(flops, monkeypatch):
    monkeypatch.setattr(distributed, "all_reduce", lambda message: message.mul_(2))
    assert counted(flops) == flops
    assert counted(flops, world=2) == 2 * flops


def test_one_process_sends_no_message_and_copies_no_gradient(monkeypatch):
    monkeypatch.setattr(distributed, "all_reduce", None)
    gradients = Parameters({"a": torch.ones(2)}, {}, {})
    metrics = {"losses": torch.tensor([3.0]), "accuracies": torch.ones(1), "finite": torch.ones(1)}
    mean = outer_mean(gradients, metrics, 1, SimpleNamespace(world_size=1, global_rank=0))
    assert mean.gradients.weights["a"] is gradients.weights["a"]
    assert (float(mean.metrics["loss"]), mean.finite.tolist()) == (3.0, [True])


def test_flops_of_many_processes_are_exact(monkeypatch):
    # The sum in float32, one process after the other, as of 65 that all count the same.
    def all_reduce(message):
        own = message.clone()
        for _ in range(64):
            message += own

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    assert counted(2**40 - 1, world=65) == 65 * (2**40 - 1)
