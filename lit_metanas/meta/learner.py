"""The learner: supernet, relaxation and head as pure functions of the parameter tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lit_metanas.meta.differentiation import Autograd, Differentiation
from lit_metanas.meta.heads import Head
from lit_metanas.meta.parameters import Parameters, TaskNoise, row
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.supernet import Mixture, Supernet
from lit_metanas.tasks.task import Episode, Split

BatchNorm = Literal["transductive", "support", "running"]
"""Where the query set's batch-norm statistics come from."""


class Adapted(NamedTuple):
    """The state of an adapted learner that the query set is judged by.

    Attributes:
        parameters: the adapted tree; ``head`` is the task's own.
        support: features of the support set, shape ``(n, features)``; empty unless the head compares.
        statistics: batch-norm means and variances of the support set; empty unless the mode is ``support``.
    """

    parameters: Parameters
    support: Tensor
    statistics: dict[str, Tensor]


@dataclass(frozen=True)
class Learner:
    """A supernet with a relaxation and a head. It holds no state: parameters come as arguments.

    Attributes:
        supernet: the network; its own parameters are not used.
        relaxation: logits to mixture.
        head: features to scores.
        batch_norm: ``transductive`` normalises queries by their own batch, ``support`` by the support set under the
            adapted parameters, ``running`` normalises everything by ``statistics``.
        statistics: for ``running``; None (in training) normalises each batch by itself.
    """

    supernet: Supernet
    relaxation: Relaxation
    head: Head
    batch_norm: BatchNorm = "support"
    statistics: Mapping[str, Tensor] | None = None

    def mixture(self, logits: dict[str, Tensor], noise: TaskNoise, step: int, progress: float) -> Mixture:
        """The mixture at a step of the inner loop; the query's step comes after the last one."""
        return self.relaxation(logits, row(noise.relaxation, step), progress)

    def features(
        self,
        weights: dict[str, Tensor],
        inputs: Tensor,
        mixture: Mixture,
        *,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed ``inputs``, shape ``(n, channels, height, width)``, as ``(n, features)``; see ``Supernet.forward``."""
        if statistics is None and self.batch_norm == "running":
            statistics = self.statistics
        features: Tensor = functional_call(
            self.supernet, weights, (inputs, mixture, noise or None, statistics or None, record)
        )
        return features

    def start(self, parameters: Parameters, episode: Episode, noise: TaskNoise, progress: float) -> Parameters:
        """The tree with which adaptation to a task starts: its head is the task's own."""
        support = episode.support
        features = support.inputs.new_empty(0)
        if self.head.starts_from_support:
            mixture = self.mixture(parameters.logits, noise, 0, progress)
            features = self.features(parameters.weights, support.inputs, mixture, noise=row(noise.support, 0))
        head = self.head.start(parameters.head, features, support.labels, episode.way)
        return parameters._replace(head=head)

    def loss(
        self, parameters: Parameters, support: Split, way: int, mixture: Mixture, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """The inner loss: mean cross-entropy of (a part of) the support set under a task's own tree."""
        features = self.features(parameters.weights, support.inputs, mixture, noise=noise)
        return cross_entropy(self.head.scores(parameters.head, features, features, support.labels, way), support.labels)

    def conclude(self, parameters: Parameters, episode: Episode, noise: TaskNoise, mixture: Mixture) -> Adapted:
        """Look at the support set once more under the adapted tree, where head or batch-norm ask for it.

        Dropout is on where it is on for the query set.
        """
        record: dict[str, Tensor] = {}
        inputs = episode.support.inputs
        features = inputs.new_empty(0)
        if self.head.compares or self.batch_norm == "support":
            dropout = row(noise.support, -1) if noise.query else None
            features = self.features(parameters.weights, inputs, mixture, noise=dropout, record=record)
        return Adapted(parameters, features, record if self.batch_norm == "support" else {})

    def scores(self, adapted: Adapted, episode: Episode, noise: TaskNoise, mixture: Mixture) -> Tensor:
        """Scores of the query set, shape ``(queries, way)``, under the mixture that ``conclude`` had."""
        tree, support, statistics = adapted
        features = self.features(
            tree.weights, episode.query.inputs, mixture, noise=noise.query, statistics=statistics or None
        )
        return self.head.scores(tree.head, features, support, episode.support.labels, episode.way)


@dataclass(frozen=True)
class Adaptation:
    """One task, and how it is adapted to.

    Attributes:
        learner: supernet, relaxation and head.
        episode: the task.
        noise: what is random in it, drawn for at least as many steps as the inner loop takes.
        progress: place in the outer schedule, from 0 to 1.
        differentiate: takes the inner gradients.
    """

    learner: Learner
    episode: Episode
    noise: TaskNoise
    progress: float = 1.0
    differentiate: Differentiation = field(default_factory=Autograd)
