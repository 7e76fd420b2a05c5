"""Checkpoints of meta-training: their own entry, reading, writing, and whether they fit a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape, describe_shape, plain_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import describe_foreign, finite_tensor, load_plain
from lit_metanas.io.files import replacing
from lit_metanas.io.text import printable
from lit_metanas.kinds.stored_preprocessing import UNKNOWN_INPUTS, InputMeaning
from lit_metanas.meta.learner import Parameters
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import from_plain
from lit_metanas.relaxations.relaxation import PRUNED
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import inherit
from lit_metanas.tasks.task import Task

META_KEY = "lit_metanas"
META_SCHEMA = 1


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
        head: the head's meta-parameters by name; empty where each task makes its own.
        derived: what the checkpoint's space derives from the logits; None where the file does not tell.
        inputs: what made the inputs of raw examples.
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    labels: dict[str, list[str]]
    statistics: dict[str, Tensor]
    shape: Shape
    cost: Cost
    head: dict[str, Tensor] = field(default_factory=dict)
    derived: Architecture | None = None
    inputs: InputMeaning = UNKNOWN_INPUTS

    @staticmethod
    def of_architecture(
        architecture: Architecture,
        space: SearchSpace,
        weights: Mapping[str, Tensor],
        shape: Shape,
        cost: Cost,
        head: dict[str, Tensor],
    ) -> MetaCheckpoint:
        """One architecture alone, without statistics, from which a meta-training of it starts.

        Args:
            architecture: of the space.
            space: of the supernet that the weights are of.
            weights: of the supernet, of which the architecture's part is taken.
            shape: channels, height and width of an input.
            cost: of all meta-training so far.
            head: the head's meta-parameters.
        """
        restricted = space.restricted(architecture)
        return MetaCheckpoint(
            weights=inherit(weights, restricted.supernet(shape).state_dict()),
            logits={choice.name: torch.zeros(len(choice.labels)) for choice in restricted.choices},
            labels={choice.name: list(choice.labels) for choice in restricted.choices},
            statistics={},
            shape=shape,
            cost=cost,
            head=head,
        )

    def architecture(self) -> dict[str, str]:
        """The label of the largest logit for each choice, inactive ones, too."""
        return {name: self.labels[name][int(row.argmax())] for name, row in self.logits.items()}

    def derive(self, space: SearchSpace) -> Architecture:
        """What a space, which may be larger than the checkpoint's, derives from the logits.

        Raises:
            ValueError: the space lacks a choice or a label.
        """
        space.canonical(self.architecture())
        logits = {}
        for choice in space.choices:
            row = torch.full((len(choice.labels),), PRUNED)
            for label, value in zip(self.labels[choice.name], self.logits[choice.name].cpu(), strict=True):
                if label in choice.labels:
                    row[choice.labels.index(label)] = value
            logits[choice.name] = row
        return space.derive(logits)

    def check_task(self, task: Task) -> None:
        """Compare what made the inputs with what made those of a task.

        Raises:
            ValueError: both are known and differ.
        """
        made = task.preprocessing
        if made is not None and self.inputs.differs(made):
            argument = "features" if made.noun == "sounds" else "preprocessing"
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

    def parameters(self, space: SearchSpace, shape: Shape) -> Parameters:
        """Weights, logits and a linear head, cut to a space that is as large or smaller; another head as it is.

        Raises:
            ValueError: the checkpoint is of another space or shape.
        """
        check_fits(self, space, shape)
        supernet = space.supernet(shape)
        weights = inherit(self.weights, dict(supernet.named_parameters()))
        logits = {}
        for choice in space.choices:
            theirs = self.labels[choice.name]
            logits[choice.name] = self.logits[choice.name][[theirs.index(label) for label in choice.labels]].clone()
        return Parameters(weights, logits, _cut_head(self.head, supernet.features))


def _cut_head(head: Mapping[str, Tensor], features: int) -> dict[str, Tensor]:
    """A head's parameters; of weights ``(way, features)`` with a bias ``(way,)`` those of the first features."""
    cut = dict(head)
    if cut.keys() == {"weight", "bias"} and cut["weight"].ndim == 2:
        cut["weight"] = cut["weight"][:, :features].clone()
    return cut


@dataclass(frozen=True)
class _Plain:
    """What is not a tensor in the checkpoint's entry."""

    labels: dict[str, list[str]]
    shape: Shape
    cost: Cost
    derived: dict[str, str] | None = None


_PLAIN_PARTS = tuple(each.name for each in fields(_Plain))

_INPUTS = "inputs"
"""Under this name the entry has what made the inputs, unless these are images."""


def meta_entry(
    space: SearchSpace,
    shape: Shape,
    logits: Mapping[str, Tensor],
    statistics: Mapping[str, Tensor],
    cost: Cost,
    inputs: InputMeaning = UNKNOWN_INPUTS,
) -> dict[str, Any]:
    """The entry that goes into the checkpoint under ``META_KEY``: plain values and tensors only."""
    labels = {choice.name: list(choice.labels) for choice in space.choices}
    return _entry(_Plain(labels, shape, cost, space.derive(logits).to_json()), logits, statistics, inputs)


def _entry(
    plain: _Plain, logits: Mapping[str, Tensor], statistics: Mapping[str, Tensor], inputs: InputMeaning
) -> dict[str, Any]:
    """All of the entry but what a run adds to go on from."""
    parts = {**asdict(plain), "shape": plain_shape(plain.shape)}
    if inputs.digest:
        parts[_INPUTS] = inputs.to_plain()
    return {"schema": META_SCHEMA, **parts, "logits": _detach(logits), "statistics": _detach(statistics)}


def _detach(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


class Shaped(Protocol):
    """A checkpoint of a space and a shape of inputs."""

    @property
    def labels(self) -> dict[str, list[str]]:
        """The candidates by choice."""

    @property
    def shape(self) -> Shape:
        """Of an input."""


def check_fits(checkpoint: Shaped, space: SearchSpace, shape: Shape) -> None:
    """Compare a checkpoint with what it is loaded into.

    Raises:
        ValueError: it was made for other images or for another space.
    """
    check_input_shape(checkpoint, shape)
    check_candidates(checkpoint, space)


def check_input_shape(checkpoint: Shaped, shape: Shape) -> None:
    """Compare the shape of a checkpoint's inputs with another.

    Raises:
        ValueError: they differ.
    """
    if not same_shape(checkpoint.shape, shape):
        raise ValueError(
            f"The checkpoint is for {describe_shape(checkpoint.shape)}, the model for {describe_shape(shape)}: use the "
            "checkpoint's shape."
        )


def check_candidates(checkpoint: Shaped, space: SearchSpace) -> None:
    """Compare a checkpoint's candidates with those of a space.

    Raises:
        ValueError: the space has others.
    """
    for choice in space.choices:
        theirs = checkpoint.labels.get(choice.name)
        if theirs is None or not set(choice.labels) <= set(theirs):
            has = "no such choice" if theirs is None else f"only {printable(', '.join(theirs), 200)}"
            raise ValueError(
                f"The checkpoint is of another search space: for '{choice.name}' the model has "
                f"{', '.join(choice.labels)}, the checkpoint {has}: give one of the model's space."
            )


def resumable(content: Mapping[str, Any]) -> MetaCheckpoint:
    """What a whole checkpoint, from which a model would go on, tells.

    Raises:
        ValueError: it was not made by meta-training, is damaged, newer, or a mere start.
    """
    entry = content.get(META_KEY)
    if entry is None:
        raise ValueError("The checkpoint was not written by meta-training: give one that `fit` of MetaSearch wrote.")
    try:
        checkpoint = _content(content)
    except DAMAGED:
        raise ValueError("The checkpoint is damaged: give one that `fit` of MetaSearch wrote.") from None
    if checkpoint is None:
        raise ValueError(
            f"The checkpoint has schema {entry['schema']}, written by a newer version of lit_metanas: upgrade."
        )
    if "own" not in entry:
        raise ValueError("The checkpoint holds start weights, not a run to resume: give it as the model's start.")
    return checkpoint


def check_data(inputs: InputMeaning, preprocessing: Preprocessing | None) -> None:
    """Compare what made the inputs of meta-trained weights with what makes those of a data module.

    Raises:
        ValueError: both are known and differ.
    """
    if inputs.differs(preprocessing):
        raise ValueError(
            "The weights were meta-trained with another vocabulary or preprocessing of inputs than the data module "
            "has: give its source the one of the meta-training."
        )


def check_resumable(checkpoint: MetaCheckpoint, space: SearchSpace, shape: Shape, head: Mapping[str, Tensor]) -> None:
    """Compare a checkpoint with the model that would go on from it.

    Raises:
        ValueError: it does not fit (``check_fits``), its space is larger than the model's, or its head is another.
    """
    check_fits(checkpoint, space, shape)
    if checkpoint.labels != {choice.name: list(choice.labels) for choice in space.choices}:
        raise ValueError(
            "The checkpoint's search space is larger than the model's: give the checkpoint as the model's start."
        )
    theirs = {name: tuple(value.shape) for name, value in checkpoint.head.items()}
    if theirs != {name: tuple(value.shape) for name, value in head.items()}:
        raise ValueError("The checkpoint has another head than the model: use the head that it was trained with.")


def read_meta_checkpoint(path: str | os.PathLike[str]) -> MetaCheckpoint:
    """Read a checkpoint that ``fit`` of ``MetaSearch`` wrote, onto the CPU; no code in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of a newer version, or was not written by meta-training.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{file}': give the path of one that `fit` wrote.")
    try:
        checkpoint = _content(load_plain(file))
    except DAMAGED:
        words = describe_foreign(file, otherwise="is damaged or was not written by meta-training")
        raise ValueError(f"'{file}' {words}: give a checkpoint that `fit` wrote.") from None
    if checkpoint is None:
        raise ValueError(f"'{file}' was written by a newer version of lit_metanas: upgrade.")
    return checkpoint


def _content(content: Mapping[str, Any]) -> MetaCheckpoint | None:
    """The content of a loaded file; None for a newer schema. Raises one of ``DAMAGED`` for a file of another kind."""
    entry, state = content[META_KEY], content["state_dict"]
    if type(entry["schema"]) is not int:
        raise ValueError("its schema is not a number")
    if entry["schema"] > META_SCHEMA:
        return None
    plain = from_plain(_Plain, {name: entry[name] for name in _PLAIN_PARTS if name in entry}, "its entry")
    if min(plain.shape) < 1:
        raise ValueError("an input is empty")
    return MetaCheckpoint(
        weights=weights_within(state, "supernet."),
        logits={name: finite_tensor(entry["logits"][name], len(labels)) for name, labels in plain.labels.items()},
        labels=plain.labels,
        statistics={str(name): finite_tensor(value, -1) for name, value in entry["statistics"].items()},
        shape=plain.shape,
        cost=plain.cost,
        head=weights_within(state, "head."),
        derived=None if plain.derived is None else Architecture(plain.derived),
        inputs=InputMeaning.from_plain(entry[_INPUTS]) if _INPUTS in entry else UNKNOWN_INPUTS,
    )


def weights_within(state: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint's state whose names begin with a prefix, without it.

    Raises:
        Exception: one of ``DAMAGED`` where one is no tensor of finite numbers.
    """
    inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return {name: finite_tensor(value, *value.shape) for name, value in inside.items()}


def write_meta_checkpoint(path: str | os.PathLike[str], checkpoint: MetaCheckpoint) -> None:
    """Write, atomically, what ``read_meta_checkpoint`` reads: a start for ``MetaSearch``, not a run to resume."""
    derived = None if checkpoint.derived is None else checkpoint.derived.to_json()
    plain = _Plain(checkpoint.labels, checkpoint.shape, checkpoint.cost, derived)
    entry = _entry(plain, checkpoint.logits, checkpoint.statistics, checkpoint.inputs)
    named = {
        **{f"supernet.{name}": value for name, value in checkpoint.weights.items()},
        **{f"head.{name}": value for name, value in checkpoint.head.items()},
    }
    with replacing(path) as temporary:
        torch.save({META_KEY: entry, "state_dict": _detach(named)}, temporary)


def read_parameters(path: str | os.PathLike[str], space: SearchSpace, task: Task) -> Parameters:
    """The meta-trained weights and logits of a checkpoint, cut to ``space``, to start a task's search from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the checkpoint is damaged, foreign, or of another space, shape or preprocessing.
    """
    checkpoint = read_meta_checkpoint(path)
    checkpoint.check_task(task)
    return checkpoint.parameters(space, task.shape)
