"""What a checkpoint of meta-training says about itself, and what can be taken from it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_metanas.meta.parameters import Parameters
from lit_metanas.records.atomic import replacing
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.space import SearchSpace, Shape, inherit

KEY = "lit_metanas"
SCHEMA = 1


@dataclass(frozen=True)
class MetaCheckpoint:
    """The plain content of a meta-training checkpoint.

    Attributes:
        weights: the supernet's parameters by name.
        logits: architecture logits by choice, pruned candidates far below the others.
        labels: the candidates by choice.
        statistics: batch-norm means and variances of the derived architecture; may be empty.
        shape: channels, height and width of an input.
        cost: of all meta-training so far.
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    labels: dict[str, list[str]]
    statistics: dict[str, Tensor]
    shape: Shape
    cost: Cost

    def architecture(self) -> dict[str, str]:
        """The label of the largest logit for each choice, inactive ones, too."""
        return {name: self.labels[name][int(row.argmax())] for name, row in self.logits.items()}

    def parameters(self, space: SearchSpace, shape: Shape) -> Parameters:
        """Weights and logits, cut to a space that is as large or smaller.

        Raises:
            ValueError: the checkpoint is of another space or shape.
        """
        check({"schema": SCHEMA, "labels": self.labels, "shape": self.shape}, space, shape)
        weights = inherit(self.weights, dict(space.supernet(shape).named_parameters()))
        logits = {}
        for choice in space.choices:
            theirs = self.labels[choice.name]
            logits[choice.name] = self.logits[choice.name][[theirs.index(label) for label in choice.labels]].clone()
        return Parameters(weights, logits, {})


def describe(
    space: SearchSpace, shape: Shape, logits: Mapping[str, Tensor], statistics: Mapping[str, Tensor], cost: Cost
) -> dict[str, Any]:
    """The entry that goes into the checkpoint under ``KEY``: plain values and tensors only."""
    return {
        "schema": SCHEMA,
        "labels": {choice.name: list(choice.labels) for choice in space.choices},
        "shape": list(shape),
        "logits": {name: value.detach().cpu().clone() for name, value in logits.items()},
        "statistics": {name: value.detach().cpu().clone() for name, value in statistics.items()},
        "cost": asdict(cost),
    }


def check(entry: Mapping[str, Any] | None, space: SearchSpace, shape: Shape) -> None:
    """Compare a checkpoint's entry with what it is loaded into.

    Raises:
        ValueError: it was not made by meta-training, by a newer version, for other images or for another space.
    """
    if entry is None:
        raise ValueError("The checkpoint was not written by meta-training: give one that `fit` of MetaSearch wrote.")
    if entry["schema"] > SCHEMA:
        raise ValueError(
            f"The checkpoint has schema {entry['schema']}, written by a newer version of lit_metanas: upgrade."
        )
    if tuple(entry["shape"]) != tuple(shape):
        raise ValueError(
            f"The checkpoint is for inputs of shape {tuple(entry['shape'])}, the model for {tuple(shape)}: "
            "use the checkpoint's shape."
        )
    for choice in space.choices:
        theirs = entry["labels"].get(choice.name)
        if theirs is None or not set(choice.labels) <= set(theirs):
            has = "no such choice" if theirs is None else f"only {', '.join(theirs)}"
            raise ValueError(
                f"The checkpoint is of another search space: for '{choice.name}' the model has "
                f"{', '.join(choice.labels)}, the checkpoint {has}."
            )


def read_meta_checkpoint(path: str | os.PathLike[str]) -> MetaCheckpoint:
    """Read a checkpoint that ``fit`` of ``MetaSearch`` wrote, onto the CPU; no code in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or was not written by meta-training.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{file}': give the path of one that `fit` wrote.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        entry = content[KEY]
        state = content["state_dict"]
        prefix = "supernet."
        return MetaCheckpoint(
            weights={k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)},
            logits=entry["logits"],
            labels=entry["labels"],
            statistics=entry["statistics"],
            shape=tuple(entry["shape"]),
            cost=Cost(**entry["cost"]),
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError):
        raise ValueError(
            f"'{file}' is damaged or was not written by meta-training: give a checkpoint that `fit` wrote."
        ) from None


def write_meta_checkpoint(path: str | os.PathLike[str], checkpoint: MetaCheckpoint) -> None:
    """Write, atomically, what ``read_meta_checkpoint`` reads: a start for ``MetaSearch``, not a run to resume."""
    entry = {
        "schema": SCHEMA,
        "labels": checkpoint.labels,
        "shape": list(checkpoint.shape),
        "logits": checkpoint.logits,
        "statistics": checkpoint.statistics,
        "cost": asdict(checkpoint.cost),
    }
    state = {f"supernet.{name}": value.detach().cpu().clone() for name, value in checkpoint.weights.items()}
    with replacing(path) as temporary:
        torch.save({KEY: entry, "state_dict": state}, temporary)


def read_parameters(path: str | os.PathLike[str], space: SearchSpace, shape: Shape) -> Parameters:
    """The meta-trained weights and logits of a checkpoint, cut to ``space``, to start a task's search from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the checkpoint is damaged, foreign, or of another space or shape.
    """
    return read_meta_checkpoint(path).parameters(space, shape)
