"""Folds of a small task: each has other examples to choose by, so that luck decides less (cross-validation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lit_metanas.inputs.batches import join_inputs
from lit_metanas.objectives import Objective
from lit_metanas.tasks.task import Portion, Split, Task, join_parts
from lit_metanas.training.child import evidence_of


@dataclass(frozen=True, eq=False)
class Fold:
    """Examples to learn from, and all others but the test part, to choose by."""

    train: Split | Portion
    val: Split

    @property
    def learned(self) -> Split:
        """A copy of the examples to learn from."""
        return self.train.split.at(self.train.places) if isinstance(self.train, Portion) else self.train


def validation_part(task: Task) -> Split:
    """The task's validation examples; ValueError if it has none."""
    if task.val is None or not len(task.val):
        raise ValueError(f"Task '{task.id}' has no validation examples to choose an architecture by: give it some.")
    return task.val


def most_folds(task: Task) -> int:
    """How many folds a task can have; those of whole groups have one, as others would divide the groups."""
    if task.grouped:
        return 1
    return 1 + len(task.train) // len(validation_part(task))


# The folds of each task that is in memory, by their number: estimators are made again and again.
_MADE: WeakKeyDictionary[Task, dict[int, list[Fold]]] = WeakKeyDictionary()


def folds_of(task: Task, number: int) -> list[Fold]:
    """So many folds, of which the first one is the task's own train and validation part.

    Each further one has about as many examples to choose by as the validation part, which no other fold has. They are
    taken from the train part, with the same share of each class, or of small and large numbers. ValueError if the task
    cannot have as many.
    """
    most = most_folds(task)
    if not 1 <= number <= most:
        raise ValueError(f"Task '{task.id}' can have 1 to {most} folds, not {number}: give another number.")
    known = _MADE.setdefault(task, {})
    if number not in known:
        known[number] = _divided(task.train, validation_part(task), number, most)
    return known[number]


def _divided(train: Split, val: Split, number: int, most: int) -> list[Fold]:
    if number == 1:
        return [Fold(train, val)]
    both = join_parts(train, val)
    # Equal targets, and numbers by their size, follow each other, so that each fold has its share of them.
    _, rank = train.labels.reshape(len(train), -1).unique(dim=0, return_inverse=True)
    drawn = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).to(rank.device)
    order = drawn[rank[drawn].argsort(stable=True)]
    chosen = [order[first :: most - 1] for first in range(number - 1)]
    return [Fold(train, val), *(Fold(Portion(both, both.places_but(own)), train.at(own)) for own in chosen)]


def targets_of(folds: Sequence[Fold]) -> Tensor:
    """The targets of all examples to choose by, fold by fold."""
    labels = [fold.val.labels for fold in folds]
    return torch.cat(labels) if labels[0].dim() == 1 else join_inputs(labels)


def score_in_folds(
    networks: Iterable[Callable[[Tensor], Tensor]], folds: Sequence[Fold], objective: Objective
) -> float:
    """The metric on all examples to choose by together; each fold has a network, made when its turn comes."""
    evidence = [
        each
        for network, fold in zip(networks, folds, strict=True)
        for each in evidence_of(network, fold.val, objective)
    ]
    return objective.judge(evidence, targets_of(folds)).value


# The weights of all folds are kept together: those of the first one by their names, others behind this and a number.
_FOLD = "fold "


def as_weights_of_fold(number: int, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network of a fold, named so that they can be kept with those of others."""
    return {f"{_prefix(number)}{name}": tensor for name, tensor in weights.items()}


def weights_of_fold(number: int, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of kept weights those of the network of a fold, by their own names; all, if they were not learned in folds."""
    if not any(name.startswith(_FOLD) for name in weights):
        return weights
    if not number:
        return {name: tensor for name, tensor in weights.items() if not name.startswith(_FOLD)}
    prefix = _prefix(number)
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _prefix(number: int) -> str:
    return f"{_FOLD}{number}: " if number else ""
