"""Ctrl-C and failures in a search, whether two searches found the same, and photographs to learn from."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import lit_metanas as lm
from lit_metanas.automl import budget_division, budget_plan, last_training
from lit_metanas.estimators.pace import Pace

NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
"""As torch says it."""

LINEAR = ("KernelSpace", "NGramSpace", "PlainPixelSpace")
"""The spaces of linear models."""


def same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks are equal to the last bit."""
    return same_tensors(one.state_dict(), other.state_dict())


def interrupt(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    at: int,
    by: BaseException | type[BaseException] = KeyboardInterrupt,
    *,
    linear: bool = False,
) -> None:
    """Let Ctrl-C come, or the memory run out, at the end of a training: of a network, or of a linear model."""
    plain, calls = module.fit_child, count(1)

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        done: lm.Cost = plain(child, train, **more)
        if (child.space.name in LINEAR) == linear and next(calls) == at:
            raise by
        return done

    monkeypatch.setattr(module, "fit_child", fit)


def diverge(monkeypatch: pytest.MonkeyPatch, *broken: int) -> list[lm.Child]:
    """Let the last trainings of these numbers diverge, counted from 0; the list gets all that are trained."""
    plain, trained = last_training.fit_child, list[lm.Child]()

    def fit(child: lm.Child, *args: Any, **more: Any) -> lm.Cost:
        cost = plain(child, *args, **more)
        if len(trained) in broken:
            next(child.network.parameters()).data.fill_(torch.nan)
        trained.append(child)
        return cost

    monkeypatch.setattr(last_training, "fit_child", fit)
    return trained


def shorten_trials(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let candidates be trained for so few steps, and on one part of the data."""
    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=steps, folds=1))


def paced(monkeypatch: pytest.MonkeyPatch, flops: float, building: float = 0.0) -> None:
    """Let the machine train so many FLOPs a second, and take so many seconds to build a network."""
    monkeypatch.setattr(budget_division, "measure_pace", lambda *args, **more: Pace(flops, building, 0.0))


def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that begins is an error."""
    monkeypatch.setattr("lit_metanas.automl.calls.run_stages", lambda *args: pytest.fail("searched again"))


def photographs(folder: Path, *names: str, number: int, seed: int) -> Path:
    """Noise with a bright part by class."""
    generator = np.random.default_rng(seed)
    parts = {"bird": np.s_[:6], "cat": np.s_[:, :6], "dog": np.s_[3:9, 3:9]}
    for name in names:
        (folder / name).mkdir(parents=True)
        for place in range(number):
            pixels = generator.integers(0, 100, (12, 12, 3)).astype(np.uint8)
            pixels[parts[name]] += 120
            Image.fromarray(pixels).save(folder / name / f"{seed} {place}.png")
    return folder
