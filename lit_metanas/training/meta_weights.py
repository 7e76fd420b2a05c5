"""Meta-trained weights in checkpoints: how they are read, and whether they fit a model."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.shapes import Shape, describe_shape, plain_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import describe_foreign, finite_tensor, load_plain
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import read_field
from lit_metanas.spaces.space import SearchSpace


class _NewerError(ValueError):
    """A checkpoint of a newer version."""


@dataclass(frozen=True, kw_only=True)
class MetaWeights(ABC):
    """A supernet's meta-trained weights, what they are for, and how they are read from a checkpoint."""

    key: ClassVar[str]  # of the entry that a meta-training adds to Lightning's checkpoints
    schema: ClassVar[int]
    writer: ClassVar[str]

    weights: dict[str, Tensor]  # of the supernet, by name
    labels: dict[str, list[str]]  # the candidates by choice
    shape: Shape  # of one input
    cost: Cost  # of all meta-training so far

    @classmethod
    @abstractmethod
    def parse(cls, entry: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """The content of an entry and a state dict; raises one of ``DAMAGED`` for others."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a checkpoint onto the CPU; no code in it is executed."""
        file, fix = Path(path), f"give one that `fit` of {cls.writer} wrote"
        if not file.is_file():
            raise FileNotFoundError(f"There is no checkpoint '{file}': {fix}.")
        try:
            return cls._of(load_plain(file), f"'{file}'")
        except _NewerError:
            raise
        except DAMAGED:
            words = describe_foreign(file, otherwise=f"is damaged or was not written by {cls.writer}")
            raise ValueError(f"'{file}' {words}: {fix}.") from None

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> Self:
        """The content of a whole checkpoint, from which a model goes on."""
        what = "is damaged"
        if cls.key not in checkpoint:
            what = f"was not written by {cls.writer}"
        try:
            return cls._of(checkpoint, "The checkpoint")
        except _NewerError:
            raise
        except DAMAGED:
            raise ValueError(f"The checkpoint {what}: give one that `fit` of {cls.writer} wrote.") from None

    @classmethod
    def _of(cls, checkpoint: Mapping[str, Any], name: str) -> Self:
        entry = checkpoint[cls.key]
        if type(entry["schema"]) is not int:
            raise ValueError("its schema is not a number")
        if entry["schema"] > cls.schema:
            raise _NewerError(f"{name} was written by a newer version of lit_metanas: upgrade.")
        return cls.parse(entry, checkpoint["state_dict"])

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless inputs have a shape."""
        if not same_shape(self.shape, shape):
            raise ValueError(
                f"The checkpoint is for {describe_shape(self.shape)}, the model for {describe_shape(shape)}: use the "
                "checkpoint's shape."
            )

    def check_candidates(self, space: SearchSpace) -> None:
        """Raise ValueError unless all candidates of a space are among those of the checkpoint."""
        for choice in space.choices:
            theirs = self.labels.get(choice.name)
            has = "no such choice"
            if theirs is not None:
                if set(choice.labels) <= set(theirs):
                    continue
                has = f"only {printable(', '.join(theirs), 200)}"
            raise ValueError(
                f"The checkpoint is of another search space: for '{choice.name}' the model has "
                f"{', '.join(choice.labels)}, the checkpoint {has}: give one of the model's space."
            )


def plain_entry(schema: int, labels: Mapping[str, list[str]], shape: Shape, cost: Cost) -> dict[str, Any]:
    """What the entries of all meta-trainings hold."""
    return {"schema": schema, "labels": dict(labels), "shape": plain_shape(shape), "cost": asdict(cost)}


def read_plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``plain_entry``, as fields of ``MetaWeights``."""
    hints = {"labels": dict[str, list[str]], "shape": Shape, "cost": Cost}
    plain = {name: read_field(hint, entry[name], f"its {name}") for name, hint in hints.items()}
    if min(plain["shape"]) < 1:
        raise ValueError("an input is empty")
    return plain


def labels_by_choice(space: SearchSpace) -> dict[str, list[str]]:
    """The candidates by choice."""
    return {choice.name: list(choice.labels) for choice in space.choices}


def weights_within(state: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The finite tensors of a checkpoint's state whose names begin with a prefix, without it."""
    inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return {name: finite_tensor(value, *value.shape) for name, value in inside.items()}
