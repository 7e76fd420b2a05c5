"""Folds of a small task: each has other examples to choose by, so that luck decides less (cross-validation)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_metanas.objectives import Objective
from lit_metanas.objectives.objective import Judged
from lit_metanas.tasks.task import Portion, Split, Task, join_parts
from lit_metanas.training.child import evidence_of

Weights = dict[str, Tensor]


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
    """How many folds a task can have."""
    return 1 + len(task.train) // len(validation_part(task))


def folds_of(task: Task, number: int) -> list[Fold]:
    """So many folds, of which the first one is the task's own train and validation part.

    Each further one has as many examples to choose by as the validation part, which no other fold has. They are taken
    from the train part, with the same share of each class, or of small and large numbers.
    """
    train, val = task.train, validation_part(task)
    if number == 1:
        return [Fold(train, val)]
    both = join_parts(train, val)
    # Equal targets, and numbers by their size, follow each other, so that each fold has its share of them.
    _, rank = train.labels.reshape(len(train), -1).unique(dim=0, return_inverse=True)
    drawn = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).to(rank.device)
    order = drawn[rank[drawn].argsort(stable=True)]
    chosen = [order[first :: most_folds(task) - 1] for first in range(number - 1)]
    return [Fold(train, val), *(Fold(Portion(both, both.places_but(own)), train.at(own)) for own in chosen)]


def judge_folds(networks: Sequence[Callable[[Tensor], Tensor]], folds: Sequence[Fold], objective: Objective) -> Judged:
    """How good networks, one for each fold, are on all examples to choose by together."""
    pairs = zip(networks, folds, strict=True)
    evidence = [each for network, fold in pairs for each in evidence_of(network, fold.val, objective)]
    return objective.judge(evidence, join_parts(*(fold.val for fold in folds)).labels)


def as_weights_of_fold(number: int, weights: Weights) -> dict[str, Tensor]:
    """Weights of a network of a fold, by names that are no others'; those of the first fold keep theirs."""
    return {f"{_prefix(number)}{name}": tensor for name, tensor in weights.items()}


def weights_of_fold(number: int, weights: Weights) -> Weights:
    """The weights of the network of a fold, by their own names; of the first one all, for it takes only its own.

    Weights that were not learned in folds are the same for each.
    """
    prefix = _prefix(number)
    if not prefix:
        return weights
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    return own or weights


def _prefix(number: int) -> str:
    return f"fold {number}: " if number else ""
