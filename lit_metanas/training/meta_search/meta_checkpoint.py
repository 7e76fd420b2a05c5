"""Checkpoints of meta-training over episodes: their own entry, reading, writing, and whether they fit a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.checkpoints import finite_tensor
from lit_metanas.io.files import replacing
from lit_metanas.kinds.stored_preprocessing import UNKNOWN_INPUTS, InputMeaning
from lit_metanas.meta.learner import Parameters
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import read_field
from lit_metanas.relaxations.relaxation import PRUNED
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import inherit
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_weights import MetaWeights, labels_by_choice, plain_entry, read_plain, weights_within

META_KEY = "lit_metanas"


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
        logits = {}
        for choice in space.choices:
            row = torch.full((len(choice.labels),), PRUNED)
            for label, value in zip(self.labels[choice.name], self.logits[choice.name].cpu(), strict=True):
                if label in choice.labels:
                    row[choice.labels.index(label)] = value
            logits[choice.name] = row
        return space.derive(logits)

    def check_task(self, task: Task) -> None:
        """Raise ValueError if the inputs of a task were made by another preprocessing."""
        made = task.preprocessing
        if made is None or not self.inputs.differs(made):
            return
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
        logits = {}
        for choice in space.choices:
            theirs = self.labels[choice.name]
            logits[choice.name] = self.logits[choice.name][[theirs.index(label) for label in choice.labels]].clone()
        head = dict(self.head)
        if head.keys() == {"weight", "bias"} and head["weight"].ndim == 2:  # (way, features), of a linear head
            head["weight"] = head["weight"][:, : supernet.features].clone()
        return Parameters(weights, logits, head)


def _detach(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def check_data(inputs: InputMeaning, preprocessing: Preprocessing | None) -> None:
    """Raise ValueError if a data module has another preprocessing than the meta-training of its weights had."""
    if inputs.differs(preprocessing):
        raise ValueError(
            "The weights were meta-trained with another vocabulary or preprocessing of inputs than the data module "
            "has: give its source the one of the meta-training."
        )


def read_parameters(path: str | os.PathLike[str], space: SearchSpace, task: Task) -> Parameters:
    """The meta-trained weights and logits of a checkpoint, cut to ``space``, to start a task's search from."""
    checkpoint = MetaCheckpoint.read(path)
    checkpoint.check_task(task)
    return checkpoint.parameters(space, task.shape)


def write_meta_checkpoint(path: str | os.PathLike[str], checkpoint: MetaCheckpoint) -> None:
    """Write, atomically, what ``MetaCheckpoint.read`` reads: a start for ``MetaSearch``, not a run to resume."""
    named = {
        **{f"supernet.{name}": value for name, value in checkpoint.weights.items()},
        **{f"head.{name}": value for name, value in checkpoint.head.items()},
    }
    with replacing(path) as temporary:
        torch.save({META_KEY: checkpoint.entry(), "state_dict": _detach(named)}, temporary)
