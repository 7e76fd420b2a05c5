"""The base of searchers, and their settings as plain values."""

from __future__ import annotations

import hashlib
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_metanas.io.checkpoints import tensor_digest
from lit_metanas.io.text import without_passwords
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Shape
from lit_metanas.tasks.task import Task


class Searcher(ABC):
    """Searches the architecture for one task.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> class FirstLabels(lm.Searcher):
        ...     def search(self, task, space, budget, seed):
        ...         architecture = space.canonical({choice.name: choice.labels[0] for choice in space.choices})
        ...         return lm.SearchOutcome(architecture, None, lm.SearchRecord(task.id))
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> outcome = FirstLabels().search(task, lm.LayeredSpace(shared=True), lm.Budget(), seed=0)
        >>> outcome.architecture["kernel"]
        '3'
    """

    @abstractmethod
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search until the budget is exhausted or the searcher is done.

        Args:
            task: only its train and val parts are read.
            space: what can be built.
            budget: charged with every step; never overdrawn.
            seed: the only source of randomness.
        """

    @property
    def meta_cost(self) -> Cost:
        """What was paid once, before any task: the meta-training that the search starts from."""
        return Cost()

    @property
    def input_shape(self) -> Shape | None:
        """Channels, height and width of the images that the search was meta-trained on; None takes any."""
        return None


def settings_of(value: object) -> Any:
    """Describe an object by its class and its constructor's arguments, which it keeps as attributes of their names.

    Files are told by their content, tensors by their values, spaces by their choices, too; what an object does not keep
    is left out.
    """
    if isinstance(value, str | os.PathLike):
        return _text(os.fspath(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if isinstance(value, Mapping):
        return {str(name): settings_of(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [settings_of(item) for item in value]
    if isinstance(value, partial):
        # Where an argument takes a class, the parser gives a partial of its own functions and of the class.
        made = next((part for part in value.args if isinstance(part, type)), value.func)
        return {"class": _name(made), **{name: settings_of(item) for name, item in value.keywords.items()}}
    if isinstance(value, type) or inspect.isroutine(value):
        return _name(value)
    described = {"class": _name(type(value)), **{name: settings_of(item) for name, item in _arguments(value).items()}}
    if isinstance(value, ChoiceSpace):  # which keeps some arguments as choices only
        described["choices"] = {choice.name: list(choice.labels) for choice in value.choices}
    return described


def _text(text: str) -> Any:
    try:
        if Path(text).is_file():
            return {"sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}
    except (OSError, ValueError):  # no path: too long, or with characters that paths cannot have
        pass
    return without_passwords(text)


def _arguments(value: object) -> dict[str, object]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    names = inspect.signature(type(value)).parameters
    kept = vars(value) if hasattr(value, "__dict__") else {}
    found = {name: kept.get(name, kept.get(f"_{name}", inspect.Parameter.empty)) for name in names}
    return {name: argument for name, argument in found.items() if argument is not inspect.Parameter.empty}


def _name(value: object) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
