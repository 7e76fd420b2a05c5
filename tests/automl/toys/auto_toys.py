"""Ctrl-C and failures in a search, and whether two searches found the same."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
import torch
from lit_metanas.automl.steps import linear_comparison
from torch import Tensor

import lit_metanas as lm


def same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks are equal to the last bit."""
    return same_tensors(one.state_dict(), other.state_dict())


NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
"""As torch says it."""


def interrupt(
    monkeypatch: pytest.MonkeyPatch, module: Any, at: int, by: BaseException | type[BaseException] = KeyboardInterrupt
) -> None:
    """Let Ctrl-C come, or the memory run out, at the end of the training of this number."""
    plain, calls = module.fit_child, count(1)

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        done: lm.Cost = plain(child, train, **more)
        if next(calls) == at:
            raise by
        return done

    monkeypatch.setattr(module, "fit_child", fit)


def linear_trainings_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last training of a linear model run out of memory."""
    plain = linear_comparison.fit_child

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        if child.space.name == "LinearSpace":
            raise MemoryError("no memory")
        return plain(child, *args, **more)

    monkeypatch.setattr(linear_comparison, "fit_child", fit)
