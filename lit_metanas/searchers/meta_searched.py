"""The architecture that meta-training chose for all tasks."""

from __future__ import annotations

import math

import torch

from lit_metanas.episodes.task import Task
from lit_metanas.meta.head import Head
from lit_metanas.meta.prototype_linear_head import PrototypeLinearHead
from lit_metanas.modules.meta_checkpoint import read_meta_checkpoint
from lit_metanas.modules.statistics import embed_and_record
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Found, Record, Trial
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.mixture import one_hot
from lit_metanas.spaces.space import SearchSpace


class MetaSearched(Searcher):
    """Takes the architecture that meta-training chose or was given, the same for every task, at no cost on the task.

    The child inherits the meta-trained weights, a classifier made from the task's train part, and the batch-norm
    statistics of that part.

    Args:
        start: the checkpoint that holds the meta-trained parameters.
        head: how the classifier starts: a head with a weight and a bias, such as ``PrototypeLinearHead``, the default.
    """

    def __init__(self, start: str, head: Head | None = None) -> None:
        self.start = start
        self.head = head or PrototypeLinearHead()

    @property
    def meta_cost(self) -> Cost:
        """Of the meta-training."""
        return read_meta_checkpoint(self.start).cost

    @torch.no_grad()
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Derive the architecture, and embed the train part once.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: the checkpoint is damaged, foreign, or of another space or shape.
        """
        checkpoint = read_meta_checkpoint(self.start)
        try:
            architecture = checkpoint.derived(space)
        except ValueError as error:
            raise ValueError(f"'{self.start}' is of another search space: {error}") from None
        restricted = space.restricted(architecture)
        device = task.train.inputs.device
        with torch.random.fork_rng(devices=[]):
            parameters = checkpoint.parameters(restricted, task.shape)
            supernet = restricted.supernet(task.shape).to(device)
        weights = {name: tensor.to(device) for name, tensor in parameters.weights.items()}
        mixture = one_hot(restricted.choices, architecture)
        features, statistics = embed_and_record(supernet, weights, mixture, task.train.inputs)
        head = self.head.start({}, features, task.train.labels, task.way)
        classifier = {f"head.{name}": tensor for name, tensor in head.items()}
        record = Record(task.id, [Trial(architecture, math.nan, budget.spent)])
        return Found(architecture, {**weights, **statistics, **classifier}, record)
