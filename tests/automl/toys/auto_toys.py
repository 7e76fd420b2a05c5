"""Ctrl-C in a search, and whether two searches found the same."""

from itertools import count
from typing import Any

import pytest
import torch

import lit_metanas as lm


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks are equal to the last bit."""
    own, theirs = one.state_dict(), other.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, at: int) -> None:
    """Let Ctrl-C come at the end of the training of this number."""
    plain, calls = module.fit_child, count(1)

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        done: lm.Cost = plain(child, train, **more)
        if next(calls) == at:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(module, "fit_child", fit)
