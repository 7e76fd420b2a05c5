"""The base of searchers, and methods that do not search the task: fixed, random and meta-searched ones."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

import torch

from lit_metanas.inputs import Preprocessing, Shape
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.meta.heads import Head, PrototypeLinearHead
from lit_metanas.objectives import Classification
from lit_metanas.records import Budget, Cost, SearchOutcome, SearchRecord, Trial
from lit_metanas.spaces import Architecture, SearchSpace, one_hot
from lit_metanas.spaces.choice_space import complete, first_buildable
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_weights import MetaCheckpoint


@keeps_arguments()
class Searcher(ABC):
    """Searches the architecture for one task.

    Example:
        >>> class FirstLabels(lm.Searcher):
        ...     def search(self, task, space, budget, seed):
        ...         architecture = space.canonical({choice.name: choice.labels[0] for choice in space.choices})
        ...         return lm.records.SearchOutcome(architecture, None, lm.records.SearchRecord(task.id))
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> outcome = FirstLabels().search(task, lm.LayeredSpace(shared=True), lm.Budget(), seed=0)
        >>> outcome.architecture["kernel"]
        '3'
    """

    @abstractmethod
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search until the budget is exhausted or the searcher is done.

        Args:
            task: only its train and val parts are read.
            space: the architectures that can be built.
            budget: charged with every step, and never exceeded.
            seed: the only source of randomness.
        """

    @property
    def meta_cost(self) -> Cost:
        """Cost that was paid once, before any task: the meta-training that the search starts from."""
        return getattr(self._meta_checkpoint(), "cost", Cost())

    @property
    def input_shape(self) -> Shape | None:
        """Shape of the meta-training's inputs; None if the search takes any."""
        return getattr(self._meta_checkpoint(), "shape", None)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Preprocessing of the meta-training's inputs; None for images, or if the search takes any."""
        start = self._meta_checkpoint()
        return start.inputs.preprocessing if start else None

    def _meta_checkpoint(self) -> MetaCheckpoint | None:
        """The meta-training that the search starts from, if there is one."""
        return None


class FixedArchitecture(Searcher):
    """The same architecture for every task, at no cost.

    Args:
        labels: one label a choice; a missing one is that of the same choice one layer below, or the first.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> method = lm.searchers.FixedArchitecture({"kernel": "5"})
        >>> outcome = method.search(task, lm.LayeredSpace(shared=True), lm.Budget(), seed=0)
        >>> outcome.architecture["kernel"]
        '5'
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = dict(labels)

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Return the architecture; ValueError if the space lacks a label, or cannot build it."""
        architecture = complete(space, self.labels)
        if (reason := space.violation(architecture)) is not None:
            raise ValueError(f"The architecture cannot be built ({reason}): choose other labels.")
        return _outcome_without_score(architecture, task, budget)


class RandomArchitecture(Searcher):
    """A uniformly drawn architecture for each task, at no cost: a function of the seed and the task's id.

    Example:
        >>> task, space = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2), lm.LayeredSpace()
        >>> outcome = lm.RandomArchitecture().search(task, space, lm.Budget(), seed=0)
        >>> space.violation(outcome.architecture) is None
        True
    """

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Draw the architecture; ValueError if no drawn one can be built."""
        digest = blake2b(f"{seed} {task.id}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        return _outcome_without_score(first_buildable(space, lambda: space.sample(generator)), task, budget)


def _outcome_without_score(architecture: Architecture, task: Task, budget: Budget) -> SearchOutcome:
    return SearchOutcome(architecture, None, SearchRecord(task.id, [Trial(architecture, math.nan, budget.spent)]))


class MetaSearchedArchitecture(Searcher):
    """Takes the architecture that meta-training chose or was given, the same for every task, at no cost on the task.

    The child inherits the meta-trained weights. The task's train part gives its classifier and batch-norm statistics.

    Args:
        start: the checkpoint that holds the meta-trained parameters.
        head: makes the classifier: a head with a weight and a bias, by default ``PrototypeLinearHead``.
        inherit: whether the child starts from the meta-trained weights, or the same network from random ones.

    Example:
        >>> searcher = lm.MetaSearchedArchitecture("runs/latest/checkpoints/last.ckpt")
        >>> type(searcher.head).__name__
        'PrototypeLinearHead'
    """

    def __init__(self, start: str, head: Head | None = None, inherit: bool = True) -> None:
        self.start = start
        self.head = head or PrototypeLinearHead()
        self.inherit = inherit

    @property
    def meta_cost(self) -> Cost:
        """Cost of the meta-training."""
        return MetaCheckpoint.read(self.start).cost

    def _meta_checkpoint(self) -> MetaCheckpoint | None:
        return MetaCheckpoint.read(self.start) if self.inherit else None

    @torch.no_grad()
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Derive the architecture, and embed the train part once; ValueError if the checkpoint does not fit."""
        checkpoint = MetaCheckpoint.read(self.start)
        try:
            architecture = checkpoint.derive(space)
        except ValueError as error:
            raise ValueError(f"'{self.start}' is of another search space: {error}") from None
        if (reason := space.violation(architecture)) is not None:
            raise ValueError(
                f"The architecture of '{self.start}' cannot be built ({reason}): widen the space, or take another "
                "checkpoint."
            )
        chosen = _outcome_without_score(architecture, task, budget)
        if not self.inherit:
            return chosen
        if not isinstance(task.goal, Classification):
            raise ValueError(
                f"{type(self).__name__} tells classes apart, and task '{task.id}' is judged by {task.goal.metric}: "
                "take a searcher that trains networks one by one, such as SuccessiveHalving."
            )
        restricted, inputs = space.restricted(architecture), task.train.inputs
        with torch.random.fork_rng(devices=[]):
            parameters = checkpoint.for_task(restricted, task)
            supernet = restricted.supernet(task.shape).to(inputs.device)
        weights = {name: tensor.to(inputs.device) for name, tensor in parameters.weights.items()}
        features, statistics = embed_and_record(supernet, weights, one_hot(restricted.choices, architecture), inputs)
        head = self.head.start(parameters.head, features, task.train.labels, task.way)
        classifier = {f"head.{name}": tensor for name, tensor in head.items()}
        return replace(chosen, weights={**weights, **statistics, **classifier})
