"""Weights that were meta-trained on many tasks, as the start of new ones: in checkpoints, and as a task takes them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_metanas.inputs.shapes import Shape, TokenShape, describe_shape, plain_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import describe_foreign, load_plain
from lit_metanas.io.text import printable
from lit_metanas.kinds.kind import MadeBefore
from lit_metanas.kinds.stored_preprocessing import UNKNOWN_INPUTS, InputMeaning
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import from_plain
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import inherit
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_search.meta_checkpoint import check_candidates, check_input_shape, weights_within

TASKS_KEY = "lit_metanas_tasks"
TASKS_SCHEMA = 2
SUPERNET_WEIGHTS, OUTPUT_WEIGHTS = "supernet.", "outputs."
"""How names of weights begin in a checkpoint: of the supernet, and of those that depend on the number of outputs."""

LARGEST_INPUT = 1 << 26
"""Numbers of an input, and tokens of a vocabulary, that a checkpoint may be for."""

_FIX = "give one that `fit` of TaskReptile wrote"


@dataclass(frozen=True)
class Vocabularies:
    """What the numbers mean that go into a network and come out, so that its weights suit no other meaning.

    Attributes:
        inputs: of the preprocessing of inputs, if there is one.
        outputs: of what makes the targets, of tasks whose networks write texts.
    """

    inputs: InputMeaning = UNKNOWN_INPUTS
    outputs: InputMeaning = UNKNOWN_INPUTS

    @classmethod
    def of(cls, task: Task) -> Vocabularies:
        """Those of a task."""
        return cls(InputMeaning.of(task.preprocessing), InputMeaning.of(task.goal.written_by))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Vocabularies:
        """The inverse of ``to_plain``; the first schema had digests alone.

        Raises:
            ValueError: they are damaged.
        """
        inputs, outputs = (
            InputMeaning(one) if isinstance(one, str) else InputMeaning.from_plain(one)
            for one in (plain["inputs"], plain["outputs"])
        )
        return cls(inputs, outputs)

    def to_plain(self) -> dict[str, Any]:
        """For checkpoints; see ``InputMeaning``."""
        return {"inputs": self.inputs.to_plain(), "outputs": self.outputs.to_plain()}

    def difference(self, other: Vocabularies) -> str | None:
        """Where two differ, as a part of a sentence; None where they do not."""
        if self.inputs.digest != other.inputs.digest:
            return "another vocabulary or preprocessing of inputs"
        return None if self.outputs.digest == other.outputs.digest else "another vocabulary of outputs"


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

    @property
    def made_before(self) -> MadeBefore:
        """What made the inputs that the weights were trained on."""
        made = self.vocabularies
        return MadeBefore(self.shape, made.inputs.preprocessing, made.outputs.preprocessing)

    def check(self, space: SearchSpace, shape: Shape) -> None:
        """Compare with what the weights are for.

        Raises:
            ValueError: they are of another space or shape.
        """
        self.check_space(space)
        check_input_shape(self, shape)

    def check_space(self, space: SearchSpace) -> None:
        """Compare with the space that the weights are for.

        Raises:
            ValueError: they are of another one.
        """
        if self.space != space.name:
            raise ValueError(
                f"The checkpoint is of the search space {printable(self.space, 60)}, the model of {space.name}: give "
                "one of that space."
            )
        check_candidates(self, space)

    @property
    def way(self) -> int:
        """The number of outputs."""
        return next(len(value) for value in self.outputs.values())

    def check_sizes(self, own: Mapping[str, Tensor]) -> None:
        """Compare with a model's weights, which may lie on the meta device, by the names that children inherit.

        Raises:
            ValueError: one of the model's is missing here, or has another shape.
        """
        theirs = {**self.weights, **self.outputs}
        if any(name not in theirs or theirs[name].shape != value.shape for name, value in own.items()):
            raise ValueError("The checkpoint's weights are of another space or number of outputs: give it its own.")

    def for_task(self, space: SearchSpace, task: Task) -> dict[str, Tensor]:
        """The weights that children of a space inherit for a task; a classifier only where it has as many outputs.

        Raises:
            ValueError: the weights are of another space, shape or vocabulary.
        """
        self.check_space(space)
        if (what := self.vocabularies.difference(Vocabularies.of(task))) is not None:
            sizes = f"{describe_shape(self.shape)}, not {describe_shape(task.shape)}"
            raise ValueError(
                f"The checkpoint was meta-trained with {what} than task '{task.id}' has"
                f"{'' if same_shape(self.shape, task.shape) else f' ({sizes})'}: give the task the preprocessing of "
                "the checkpoint's tasks, or the search no 'start'."
            )
        check_input_shape(self, task.shape)
        weights = inherit(self.weights, dict(space.supernet(task.shape).named_parameters()))
        return weights | {name: value for name, value in self.outputs.items() if len(value) == task.way}


@dataclass(frozen=True)
class _Plain:
    """What is not a tensor in the checkpoint's entry."""

    labels: dict[str, list[str]]
    shape: Shape
    cost: Cost
    space: str


def start_entry(space: SearchSpace, shape: Shape, vocabularies: Vocabularies, cost: Cost) -> dict[str, Any]:
    """What goes into the checkpoint under ``TASKS_KEY``: plain values only."""
    labels = {choice.name: list(choice.labels) for choice in space.choices}
    plain = {**asdict(_Plain(labels, shape, cost, space.name)), "vocabularies": vocabularies.to_plain()}
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
        words = describe_foreign(file, otherwise="is damaged or was not written by TaskReptile")
        raise ValueError(f"'{file}' {words}: {_FIX}.") from None
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
    if not weights or len({value.shape[:1] for value in outputs.values()}) != 1:
        raise ValueError("there are no weights, or their numbers of outputs are none or several")
    if not all(value.ndim for value in outputs.values()):
        raise ValueError("an output has no weights")
    most = max(plain.shape) if isinstance(plain.shape, TokenShape) else math.prod(plain.shape)
    if min(plain.shape) < 1 or most > LARGEST_INPUT:
        raise ValueError("an input is empty or too large")
    told = {name: getattr(plain, name) for name in parts}
    vocabularies = Vocabularies.from_plain(entry["vocabularies"])
    return TaskStart(weights=weights, outputs=outputs, vocabularies=vocabularies, **told)
