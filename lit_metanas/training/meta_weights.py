"""Meta-trained weights in checkpoints: how they are read, and whether they fit a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from lit_metanas.inputs.shapes import Shape, describe_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import describe_foreign, finite_tensor, load_plain
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class MetaWeights:
    """A supernet's meta-trained weights, and what they are for."""

    weights: dict[str, Tensor]  # of the supernet, by name
    labels: dict[str, list[str]]  # the candidates by choice
    shape: Shape  # of one input
    cost: Cost  # of all meta-training so far

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


Content = TypeVar("Content", bound=MetaWeights)


@dataclass(frozen=True)
class CheckpointEntry(Generic[Content]):
    """What one kind of meta-training adds to Lightning's checkpoints."""

    key: str
    schema: int
    writer: str
    fix: str
    absent: str  # how to fix a path to no file
    parse: Callable[[Mapping[str, Any], Mapping[str, Any]], Content]  # the entry and the state dict

    def read(self, path: str | os.PathLike[str]) -> Content:
        """Read a checkpoint onto the CPU; no code in it is executed."""
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"There is no checkpoint '{file}': {self.absent}.")
        try:
            found = self._content(load_plain(file))
        except DAMAGED:
            words = describe_foreign(file, otherwise=f"is damaged or was not written by {self.writer}")
            raise ValueError(f"'{file}' {words}: {self.fix}.") from None
        return _not_newer(found, f"'{file}'")

    def of(self, checkpoint: Mapping[str, Any]) -> Content:
        """The content of a whole checkpoint, from which a model goes on."""
        if self.key not in checkpoint:
            raise ValueError(f"The checkpoint was not written by {self.writer}: {self.fix}.")
        try:
            found = self._content(checkpoint)
        except DAMAGED:
            raise ValueError(f"The checkpoint is damaged: {self.fix}.") from None
        return _not_newer(found, "The checkpoint")

    def _content(self, checkpoint: Mapping[str, Any]) -> Content | None:
        """None for a newer schema. Raises one of ``DAMAGED`` for a file of another kind."""
        entry = checkpoint[self.key]
        if type(entry["schema"]) is not int:
            raise ValueError("its schema is not a number")
        if entry["schema"] > self.schema:
            return None
        return self.parse(entry, checkpoint["state_dict"])


def _not_newer(found: Content | None, name: str) -> Content:
    if found is None:
        raise ValueError(f"{name} was written by a newer version of lit_metanas: upgrade.")
    return found


def weights_within(state: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The finite tensors of a checkpoint's state whose names begin with a prefix, without it."""
    inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return {name: finite_tensor(value, *value.shape) for name, value in inside.items()}
