"""Weights that were meta-trained on many tasks, as the start of new ones: in checkpoints, and as a task takes them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import load_plain
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import from_plain
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import inherit
from lit_metanas.tasks.inputs import Preprocessing, Shape, plain_shape
from lit_metanas.tasks.task import Task
from lit_metanas.tasks.translation import Translation
from lit_metanas.training.meta_search.meta_checkpoint import check_fits, weights_within

TASKS_KEY = "lit_metanas_tasks"
TASKS_SCHEMA = 1
SUPERNET_WEIGHTS, OUTPUT_WEIGHTS = "supernet.", "outputs."
"""How names of weights begin in a checkpoint: of the supernet, and of those that depend on the number of outputs."""

_FIX = "give one that `fit` of TaskReptile wrote"


@dataclass(frozen=True)
class Vocabularies:
    """What the numbers mean that go into a network and come out, so that its weights suit no other meaning.

    Attributes:
        inputs: digest of the preprocessing of inputs; empty where there is none.
        outputs: digest of what makes the targets, of tasks whose networks write texts; else empty.
    """

    inputs: str
    outputs: str

    @classmethod
    def of(cls, task: Task) -> Vocabularies:
        """Those of a task."""
        goal = task.goal
        return cls(_digest(task.preprocessing), _digest(goal.target) if isinstance(goal, Translation) else "")

    def difference(self, other: Vocabularies) -> str | None:
        """Where two differ, as a part of a sentence; None where they do not."""
        if self.inputs != other.inputs:
            return "another vocabulary or preprocessing of inputs"
        return None if self.outputs == other.outputs else "another vocabulary of outputs"


def _digest(preprocessing: Preprocessing | None) -> str:
    if preprocessing is None:
        return ""
    told = json.dumps([preprocessing.kind, preprocessing.to_plain()], sort_keys=True, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TaskStart:
    """Meta-trained weights, and what they are for.

    Attributes:
        weights: the supernet's parameters by name.
        outputs: the classifier, and the vectors of tokens that are written, by the names that children inherit.
        labels: the candidates by choice.
        shape: of one input.
        vocabularies: what tokens mean.
        cost: of the meta-training.
        space: the name of the search space.
    """

    weights: dict[str, Tensor]
    outputs: dict[str, Tensor]
    labels: dict[str, list[str]]
    shape: Shape
    vocabularies: Vocabularies
    cost: Cost
    space: str

    def check(self, space: SearchSpace, shape: Shape) -> None:
        """Compare with what the weights are for.

        Raises:
            ValueError: they are of another space or shape.
        """
        if self.space != space.name:
            raise ValueError(
                f"The checkpoint is of the search space {printable(self.space, 60)}, the model of {space.name}: give "
                "one of that space."
            )
        check_fits(self, space, shape)

    def for_task(self, space: SearchSpace, task: Task) -> dict[str, Tensor]:
        """The weights that children of a space inherit for a task; a classifier only where it has as many outputs.

        Raises:
            ValueError: the weights are of another space, shape or vocabulary.
        """
        self.check(space, task.shape)
        if (what := self.vocabularies.difference(Vocabularies.of(task))) is not None:
            raise ValueError(
                f"The checkpoint was meta-trained with {what} than task '{task.id}' has: take the preprocessing of "
                "its tasks."
            )
        weights = inherit(self.weights, dict(space.supernet(task.shape).named_parameters()))
        return weights | {name: value for name, value in self.outputs.items() if len(value) == task.way}


@dataclass(frozen=True)
class _Plain:
    """What is not a tensor in the checkpoint's entry."""

    labels: dict[str, list[str]]
    shape: Shape
    vocabularies: Vocabularies
    cost: Cost
    space: str


def start_entry(space: SearchSpace, shape: Shape, vocabularies: Vocabularies, cost: Cost) -> dict[str, Any]:
    """What goes into the checkpoint under ``TASKS_KEY``: plain values only."""
    labels = {choice.name: list(choice.labels) for choice in space.choices}
    plain = asdict(_Plain(labels, shape, vocabularies, cost, space.name))
    return {"schema": TASKS_SCHEMA, **plain, "shape": plain_shape(shape)}


def resumable_start(content: Mapping[str, Any]) -> TaskStart:
    """What a whole checkpoint, from which a meta-training would go on, tells.

    Raises:
        ValueError: ``TaskReptile`` did not write it, or it is damaged or newer.
    """
    if TASKS_KEY not in content:
        raise ValueError(f"The checkpoint was not written by TaskReptile: {_FIX}.")
    try:
        found = _content(content)
    except DAMAGED:
        raise ValueError(f"The checkpoint is damaged: {_FIX}.") from None
    if found is None:
        raise ValueError("The checkpoint was written by a newer version of lit_metanas: upgrade.")
    return found


def read_task_start(path: str | os.PathLike[str]) -> TaskStart:
    """Read a checkpoint that ``fit`` of ``TaskReptile`` wrote, onto the CPU; no code in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of a newer version, or another kind of file.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{file}': {_FIX}.")
    try:
        found = _content(load_plain(file))
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged or was not written by TaskReptile: {_FIX}.") from None
    if found is None:
        raise ValueError(f"'{file}' was written by a newer version of lit_metanas: upgrade.")
    return found


def _content(content: Mapping[str, Any]) -> TaskStart | None:
    """The content of a loaded file; None for a newer schema. Raises one of ``DAMAGED`` for a file of another kind."""
    entry, state = content[TASKS_KEY], content["state_dict"]
    if type(entry["schema"]) is not int:
        raise ValueError("its schema is not a number")
    if entry["schema"] > TASKS_SCHEMA:
        return None
    parts = _Plain.__dataclass_fields__
    plain = from_plain(_Plain, {name: entry[name] for name in parts if name in entry}, "its entry")
    weights, outputs = weights_within(state, SUPERNET_WEIGHTS), weights_within(state, OUTPUT_WEIGHTS)
    if min(plain.shape) < 1 or not weights or not all(value.ndim for value in outputs.values()):
        raise ValueError("an input is empty, or there are no weights")
    return TaskStart(weights=weights, outputs=outputs, **{name: getattr(plain, name) for name in parts})
