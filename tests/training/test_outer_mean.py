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
def test_flops_are_exact(flops):
    assert counted(flops) == flops


def test_flops_of_many_processes_are_exact(monkeypatch):
    # The sum in float32, one process after the other, as of 65 that all count the same.
    def all_reduce(message):
        own = message.clone()
        for _ in range(64):
            message += own

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    assert counted(2**40 - 1, world=65) == 65 * (2**40 - 1)
