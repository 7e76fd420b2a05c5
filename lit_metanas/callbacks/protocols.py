"""Protocols of the modules that the callbacks observe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lit_metanas.inputs.shapes import Shape
from lit_metanas.records.record import Cost, SearchRecord
from lit_metanas.records.rows import ResultRow
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace


class Searching(Protocol):
    """A module that searches: it holds probabilities over a space's candidates, and knows what its training costs."""

    space: SearchSpace
    shape: Shape
    seed: int

    @property
    def progress(self) -> float:
        """Spent share of the whole training, in [0, 1]."""

    def probabilities(self) -> Mapping[str, Tensor]:
        """For each choice the candidates' probabilities, shape ``(labels,)``, detached."""

    def architecture(self) -> Architecture:
        """The architecture that the current probabilities give."""

    def cost(self) -> Cost:
        """The cost of the training so far."""


@runtime_checkable
class Tested(Protocol):
    """A module that was tested on episodes or tasks."""

    test_values: Sequence[float]  # one score an episode, in the episodes' order, gathered over all ranks

    def result_fields(self) -> Mapping[str, Any]:
        """The fields of a result that the module knows: ``protocol``, ``parameters``, ``flops`` and others."""


@runtime_checkable
class Searched(Protocol):
    """A module that searched: its rows and records on the first process, and the folder of its files."""

    results: Sequence[ResultRow]
    records: Sequence[SearchRecord]
    directory: Path


def searches(module: LightningModule) -> TypeGuard[Searching]:
    """Whether the module's class searches; the object's ``progress`` may need a running training."""
    names = ("progress", "probabilities", "architecture")
    return hasattr(module, "space") and all(hasattr(type(module), name) for name in names)


def searching(module: LightningModule, callback: object) -> Searching:
    """Return ``module`` as one that searches; otherwise raise a ValueError that names ``callback``."""
    if not searches(module):
        raise ValueError(
            f"{type(callback).__name__} observes a search, but {type(module).__name__} has no space, probabilities, "
            "architecture and progress: remove the callback, or train a module that searches."
        )
    return module


def validates_fit(trainer: Trainer) -> bool:
    """Whether the last validation belongs to a training, and not to its sanity check."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
