"""Meta-trained weights: how checkpoints of both meta-trainings hold them, and whether they fit a model or a task."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import Shape, TextRowShape, TokenShape, describe_shape, plain_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import finite_tensor, load_plain
from lit_metanas.io.files import existing_file, replacing
from lit_metanas.io.text import printable
from lit_metanas.kinds.kind import MadeBefore
from lit_metanas.kinds.stored_preprocessing import UNKNOWN_INPUTS, InputMeaning
from lit_metanas.meta.learner import Parameters
from lit_metanas.records.plain import read_field
from lit_metanas.records.record import Cost
from lit_metanas.relaxations.relaxation import PRUNED
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import inherit
from lit_metanas.tasks.task import Task

META_KEY, TASKS_KEY = "lit_metanas", "lit_metanas_tasks"
"""The entries that ``MetaSearch`` and ``TaskReptile`` add to Lightning's checkpoints."""

SUPERNET_WEIGHTS, OUTPUT_WEIGHTS = "supernet.", "outputs."
"""How names of weights begin in a checkpoint: of the supernet, and of those that depend on the number of outputs."""

LARGEST_INPUT = 1 << 26  # numbers of an input, and tokens of a vocabulary, that a checkpoint may be for


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
        """Read a checkpoint that ``fit`` of ``writer`` wrote, onto the CPU; no code in it is executed."""
        file = existing_file(path, "checkpoint", f"give one that `fit` of {cls.writer} wrote")
        content: Mapping[str, Any] = {}
        with suppress(*DAMAGED):
            content = load_plain(file)
        return cls._of(content, f"'{file}'", f"is damaged or was not written by {cls.writer}")

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> Self:
        """The content of a whole checkpoint, from which a model goes on."""
        what = "is damaged" if cls.key in checkpoint else f"was not written by {cls.writer}"
        return cls._of(checkpoint, "The checkpoint", what)

    @classmethod
    def _of(cls, checkpoint: Mapping[str, Any], name: str, what: str) -> Self:
        try:
            entry = checkpoint[cls.key]
            if type(entry["schema"]) is not int:
                raise ValueError("its schema is not a number")
            if entry["schema"] <= cls.schema:
                return cls.parse(entry, checkpoint["state_dict"])
        except DAMAGED:
            raise ValueError(f"{name} {what}: give one that `fit` of {cls.writer} wrote.") from None
        raise ValueError(f"{name} was written by a newer version of lit_metanas: upgrade.")

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
            theirs = self.labels.get(choice.name, [])
            if not set(choice.labels) <= set(theirs):
                known = f"only {printable(', '.join(theirs), 200)}" if theirs else "no such choice"
                raise ValueError(
                    f"The checkpoint is of another search space: for '{choice.name}' the model has "
                    f"{', '.join(choice.labels)}, the checkpoint {known}: give one of the model's space."
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
    return {
        name.removeprefix(prefix): finite_tensor(value, *value.shape)
        for name, value in state.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class Vocabularies:
    """What the numbers mean that go into a network and come out, so that its weights suit no other meaning."""

    inputs: InputMeaning = UNKNOWN_INPUTS
    outputs: InputMeaning = UNKNOWN_INPUTS  # of tasks whose networks write texts

    @classmethod
    def of(cls, task: Task) -> Vocabularies:
        """Those of a task."""
        return cls(InputMeaning.of(task.preprocessing), InputMeaning.of(task.goal.written_by))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Vocabularies:
        """The inverse of ``to_plain``."""
        return cls(InputMeaning.from_plain(plain["inputs"]), InputMeaning.from_plain(plain["outputs"]))

    def to_plain(self) -> dict[str, Any]:
        """For checkpoints; see ``InputMeaning``."""
        return {"inputs": self.inputs.to_plain(), "outputs": self.outputs.to_plain()}

    def difference(self, other: Vocabularies) -> str | None:
        """Where two differ, as a part of a sentence; None where they do not."""
        if self.inputs.digest != other.inputs.digest:
            return "another vocabulary or preprocessing of inputs"
        if self.outputs.digest != other.outputs.digest:
            return "another vocabulary of outputs"
        return None


@dataclass(frozen=True, kw_only=True)
class TaskStart(MetaWeights):
    """Meta-trained weights, and what they are for."""

    key, schema, writer = TASKS_KEY, 2, "TaskReptile"

    outputs: dict[str, Tensor]  # the classifier, and the vectors of written tokens, by the names that children inherit
    vocabularies: Vocabularies
    space: str  # its name

    @classmethod
    def parse(cls, entry: Mapping[str, Any], state: Mapping[str, Any]) -> TaskStart:
        """The content of an entry and a state dict."""
        weights, outputs = weights_within(state, SUPERNET_WEIGHTS), weights_within(state, OUTPUT_WEIGHTS)
        if not weights or len({value.shape[:1] for value in outputs.values()}) != 1:
            raise ValueError("there are no weights, or their numbers of outputs are none or several")
        if not all(value.ndim for value in outputs.values()):
            raise ValueError("an output has no weights")
        plain, space = read_plain(entry), read_field(str, entry["space"], "its space")
        size = math.prod(plain["shape"])
        if isinstance(plain["shape"], TokenShape | TextRowShape):
            size = max(plain["shape"])
        if size > LARGEST_INPUT:
            raise ValueError("an input is too large")
        return cls(
            weights=weights,
            outputs=outputs,
            vocabularies=Vocabularies.from_plain(entry["vocabularies"]),
            space=space,
            **plain,
        )

    @property
    def made_before(self) -> MadeBefore:
        """What made the inputs that the weights were trained on."""
        made = self.vocabularies
        return MadeBefore(self.shape, made.inputs.preprocessing, made.outputs.preprocessing)

    def check_space(self, space: SearchSpace) -> None:
        """Raise ValueError unless the weights are for a space."""
        if self.space != space.name:
            raise ValueError(
                f"The checkpoint is of the search space {printable(self.space, 60)}, the model of {space.name}: give "
                "one of that space."
            )
        self.check_candidates(space)

    @property
    def way(self) -> int:
        """The number of outputs."""
        return next(len(value) for value in self.outputs.values())

    def for_task(self, space: SearchSpace, task: Task) -> dict[str, Tensor]:
        """The weights that children of a space inherit for a task; a classifier only where it has as many outputs."""
        self.check_space(space)
        if (what := self.vocabularies.difference(Vocabularies.of(task))) is not None:
            raise ValueError(
                f"The checkpoint was meta-trained with {what} than task '{task.id}' has: give the task the "
                "preprocessing of the checkpoint's tasks, or the search no 'start'."
            )
        self.check_shape(task.shape)
        weights = inherit(self.weights, dict(space.supernet(task.shape).named_parameters()))
        return weights | {name: value for name, value in self.outputs.items() if len(value) == task.way}


@dataclass(frozen=True, kw_only=True)
class MetaCheckpoint(MetaWeights):
    """The plain content of a meta-training checkpoint."""

    key, schema, writer = META_KEY, 1, "MetaSearch"

    logits: dict[str, Tensor]  # by choice, pruned candidates far below the others
    statistics: dict[str, Tensor]  # batch-norm means and variances of the derived architecture; may be empty
    head: dict[str, Tensor] = field(default_factory=dict)  # empty where each task makes its own
    derived: Architecture | None = None  # by the checkpoint's space, with these statistics
    inputs: InputMeaning = UNKNOWN_INPUTS

    @classmethod
    def parse(cls, entry: Mapping[str, Any], state: Mapping[str, Any]) -> MetaCheckpoint:
        """The content of an entry and a state dict."""
        plain, inputs, derived = read_plain(entry), UNKNOWN_INPUTS, None
        if entry.get("derived") is not None:
            derived = read_field(Architecture, entry["derived"], "its architecture")
        if "inputs" in entry:
            inputs = InputMeaning.from_plain(entry["inputs"])
        return cls(
            weights=weights_within(state, "supernet."),
            logits={name: finite_tensor(entry["logits"][name], len(own)) for name, own in plain["labels"].items()},
            statistics={str(name): finite_tensor(value, -1) for name, value in entry["statistics"].items()},
            head=weights_within(state, "head."),
            derived=derived,
            inputs=inputs,
            **plain,
        )

    @classmethod
    def of_architecture(
        cls,
        architecture: Architecture,
        space: SearchSpace,
        weights: Mapping[str, Tensor],
        shape: Shape,
        cost: Cost,
        head: dict[str, Tensor],
    ) -> MetaCheckpoint:
        """One architecture alone with its part of a supernet's weights, as the start of a meta-training."""
        restricted = space.restricted(architecture)
        return cls(
            weights=inherit(weights, restricted.supernet(shape).state_dict()),
            logits={choice.name: torch.zeros(len(choice.labels)) for choice in restricted.choices},
            labels=labels_by_choice(restricted),
            statistics={},
            shape=shape,
            cost=cost,
            head=head,
        )

    def entry(self) -> dict[str, Any]:
        """What goes into a checkpoint under ``META_KEY``, but for the weights: plain values and tensors only."""
        entry = plain_entry(self.schema, self.labels, self.shape, self.cost)
        if self.derived is not None:
            entry["derived"] = self.derived.to_json()
        if self.inputs.digest:  # not of images
            entry["inputs"] = self.inputs.to_plain()
        return {**entry, "logits": _detach(self.logits), "statistics": _detach(self.statistics)}

    def architecture(self) -> dict[str, str]:
        """The label of the largest logit for each choice, inactive ones, too."""
        return {name: self.labels[name][int(row.argmax())] for name, row in self.logits.items()}

    def derive(self, space: SearchSpace) -> Architecture:
        """What a space, which may be larger than the checkpoint's, derives from the logits."""
        space.canonical(self.architecture())
        return space.derive(self._logits_of(space))

    def check_fits(self, space: SearchSpace, shape: Shape) -> None:
        """Raise ValueError if the weights are for other inputs, or lack candidates of a space."""
        self.check_shape(shape)
        self.check_candidates(space)

    def check_resumable(self, space: SearchSpace, shape: Shape, head: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless a model with such a space, shape and head can go on from the checkpoint."""
        self.check_fits(space, shape)
        if self.labels != labels_by_choice(space):
            raise ValueError(
                "The checkpoint's search space is larger than the model's: give the checkpoint as the model's start."
            )
        theirs = {name: tuple(value.shape) for name, value in self.head.items()}
        if theirs != {name: tuple(value.shape) for name, value in head.items()}:
            raise ValueError("The checkpoint has another head than the model: use the head that it was trained with.")

    def parameters(self, space: SearchSpace, shape: Shape) -> Parameters:
        """Weights, logits and a linear head, cut to a space that is as large or smaller; another head as it is."""
        self.check_fits(space, shape)
        supernet = space.supernet(shape)
        weights = inherit(self.weights, dict(supernet.named_parameters()))
        head = dict(self.head)
        if head.keys() == {"weight", "bias"} and head["weight"].ndim == 2:  # (way, features), of a linear head
            head["weight"] = head["weight"][:, : supernet.features].clone()
        return Parameters(weights, self._logits_of(space), head)

    def for_task(self, space: SearchSpace, task: Task) -> Parameters:
        """What a task's search in a space starts from; ValueError if another preprocessing made the task's inputs."""
        made = task.preprocessing
        if made is not None and self.inputs.differs(made):
            argument = {"sounds": "features"}.get(made.noun, "preprocessing")
            fix = (
                f"leave '{argument}' of its data out, so that a search takes the checkpoint's; in Python give it the "
                "'preprocessing' of the searcher."
            )
            if self.inputs.preprocessing is None:
                fix = f"give its data the '{argument}' of the meta-training, which the checkpoint does not hold."
            raise ValueError(
                "The checkpoint was meta-trained with another vocabulary or preprocessing of inputs than task "
                f"'{task.id}' has: {fix}"
            )
        return self.parameters(space, task.shape)

    def _logits_of(self, space: SearchSpace) -> dict[str, Tensor]:
        """The logits of a space's candidates; those that the checkpoint lacks are far below the others."""
        logits = {}
        for choice in space.choices:
            theirs = dict(zip(self.labels[choice.name], self.logits[choice.name], strict=True))
            pruned = self.logits[choice.name].new_tensor(PRUNED)
            logits[choice.name] = torch.stack([theirs.get(label, pruned) for label in choice.labels])
        return logits


def _detach(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def write_meta_checkpoint(path: str | os.PathLike[str], checkpoint: MetaCheckpoint) -> None:
    """Write, atomically, what ``MetaCheckpoint.read`` reads: a start for ``MetaSearch``, not a run to resume."""
    named = {
        **{f"supernet.{name}": value for name, value in checkpoint.weights.items()},
        **{f"head.{name}": value for name, value in checkpoint.head.items()},
    }
    with replacing(path) as temporary:
        torch.save({META_KEY: checkpoint.entry(), "state_dict": _detach(named)}, temporary)
