"""The learner: the tree of meta-parameters, one task's noise, and a network with its head as pure functions of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lit_metanas.inputs.batches import at_least_float32, float32, join_inputs
from lit_metanas.meta.heads import Head
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.supernet import Supernet
from lit_metanas.tasks.task import Episode, Split

Tensors = dict[str, Tensor]

Group = Literal["weights", "logits", "head"]  # a part of the tree


class Parameters(NamedTuple):
    """Weights, logits and head of a learner: a pytree for ``torch.func``.

    Attributes:
        weights: the supernet's parameters by name.
        logits: architecture logits by choice, each of shape ``(labels,)``.
        head: the head's parameters; empty for a head that each support set makes anew.

    Example:
        >>> lm.meta.Parameters({}, {"kernel": torch.zeros(2)}, {}).flat(["logits"])
        {'logits.kernel': tensor([0., 0.])}
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    head: dict[str, Tensor]

    def flat(self, groups: Collection[Group] = ("weights", "logits", "head")) -> dict[str, Tensor]:
        """The tensors of some groups under the names ``group.name``."""
        return {f"{group}.{name}": value for group in groups for name, value in self._asdict()[group].items()}

    def with_tensors(self, flat: dict[str, Tensor]) -> Parameters:
        """The tree with the tensors of ``flat`` (names as from ``flat()``) in place of its own."""
        return Parameters(*(
            {name: flat.get(f"{group}.{name}", value) for name, value in tree.items()}
            for group, tree in self._asdict().items()
        ))  # fmt: skip

    def map(self, function: Callable[..., Tensor], *others: Parameters) -> Parameters:
        """Apply ``function`` to each tensor and the tensors of the same name in the other trees."""
        flats = [other.flat() for other in others]
        return self.with_tensors({key: function(value, *(f[key] for f in flats)) for key, value in self.flat().items()})


class TaskNoise(NamedTuple):
    """Uniform numbers for one task: a pytree of tensors, which ``vmap`` maps over."""

    relaxation: dict[str, Tensor]  # by choice, shape `(steps + 1, labels)`: a row an inner step, then that of the query
    support: dict[str, Tensor]  # dropout of the support set, each `(steps + 1, examples, ...)`; empty switches it off
    query: dict[str, Tensor]  # dropout of the query set, each `(examples, ...)`; empty switches it off


EVALUATION, ADAPTED_LOGITS = -1, -2
"""Steps of ``task_generator`` outside of meta-training, whose steps count from 0: episodes that are evaluated, and
logits that adapt to one."""


def task_generator(seed: int, step: int, task: int) -> torch.Generator:
    """A generator that is a function of (seed, step, task); the step may be one of the negative ones above."""
    digest = blake2b(f"{seed} {step} {task}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def noise_row(noise: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """The noise of one step."""
    return {name: value[step] for name, value in noise.items()}


BatchNorm = Literal["transductive", "support", "running"]  # the source of the query set's batch-norm statistics


@dataclass(frozen=True)
class Learner:
    """A supernet with a relaxation and a head. It holds no state: parameters come as arguments.

    Attributes:
        supernet: the network; its own parameters are not used.
        relaxation: logits to mixture.
        head: features to scores.
        batch_norm: ``transductive`` normalises queries by their own batch, ``support`` by the support set under the
            adapted parameters, ``running`` normalises everything by ``statistics``.
        statistics: for ``running``; None (in training) normalises a task by itself: support and query set together if
            the head compares them, as in Snell et al.'s code, otherwise each alone.

    Example:
        >>> space = lm.LayeredSpace(shared=True)
        >>> supernet = space.supernet((1, 8, 8))
        >>> learner = lm.meta.Learner(supernet, lm.relaxations.Softmax(), lm.meta.PrototypeHead())
        >>> learner.looks_again
        True
    """

    supernet: Supernet
    relaxation: Relaxation
    head: Head
    batch_norm: BatchNorm = "support"
    statistics: Mapping[str, Tensor] | None = None

    def draw_noise(
        self,
        logits: dict[str, Tensor],
        episode: Episode,
        generator: torch.Generator,
        *,
        steps: int,
        support_dropout: bool = True,
        query_dropout: bool = True,
    ) -> TaskNoise:
        """Draw the noise of one task.

        Args:
            logits: for each choice, shape ``(labels,)``.
            episode: gives the numbers of examples, and the device.
            generator: the source of randomness.
            steps: inner steps.
            support_dropout: whether dropout is on while adapting.
            query_dropout: whether dropout is on for the query set.
        """
        device = episode.support.inputs.device
        rows = [self.relaxation.draw_noise(logits, generator) for _ in range(steps + 1)]
        support = [self.supernet.draw_noise(len(episode.support), generator) for _ in range(steps + 1)]
        query = self.supernet.draw_noise(len(episode.query), generator)
        # All numbers are drawn in any case, so that a switch does not change the others.
        noise = TaskNoise(stack_rows(rows, device), {}, {})
        if support_dropout:
            noise = noise._replace(support=stack_rows(support, device))
        if query_dropout:
            noise = noise._replace(query={name: value.to(device) for name, value in query.items()})
        return noise

    def mixture(self, logits: dict[str, Tensor], noise: TaskNoise, step: int, progress: float) -> Mixture:
        """The mixture at a step of the inner loop; the query's step comes after the last one."""
        return self.relaxation(logits, noise_row(noise.relaxation, step), progress)

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
        """Embed ``inputs``, shape ``(n, *shape)``, as ``(n, features)``, at least float32; see ``Supernet.forward``."""
        if statistics is None and self.batch_norm == "running":
            statistics = self.statistics
        given = inputs, mixture, noise or None, statistics or None, record
        return at_least_float32(functional_call(self.supernet, weights, given, tie_weights=self._ties_weights))

    def head_scores(self, head: Tensors, asked: Tensor, compared: Tensor, support: Split, way: int) -> Tensor:
        """The scores of some features (``Head.scores``), without autocast: of bf16 a distance has too few digits."""
        with float32(asked.device):
            return self.head.scores(head, asked, compared, support.labels, way)

    @property
    def looks_again(self) -> bool:
        """Whether ``judge`` embeds the support set: the head compares with it, or batch-norm reads it."""
        return self.head.compares or self.batch_norm == "support"

    @cached_property
    def _ties_weights(self) -> bool:
        """Whether two names share a parameter; cached because ``functional_call`` would check it in each call."""
        names = [name for name, _ in self.supernet.named_parameters(remove_duplicate=False)]
        return len(names) > len(list(self.supernet.parameters()))

    def start(self, parameters: Parameters, episode: Episode, noise: TaskNoise, progress: float) -> Parameters:
        """The tree with which adaptation to a task starts: its head is the task's own."""
        support = episode.support
        features = torch.empty(0, device=support.inputs.device)
        if self.head.starts_from_support:
            mixture = self.mixture(parameters.logits, noise, 0, progress)
            features = self.features(parameters.weights, support.inputs, mixture, noise=noise_row(noise.support, 0))
        with float32(features.device):
            head = self.head.start(parameters.head, features, support.labels, episode.way)
        return parameters._replace(head=head)

    def loss(
        self, parameters: Parameters, support: Split, way: int, mixture: Mixture, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """The inner loss: mean cross-entropy of (a part of) the support set under a task's own tree."""
        features = self.features(parameters.weights, support.inputs, mixture, noise=noise)
        return cross_entropy(self.head_scores(parameters.head, features, features, support, way), support.labels)

    def judge(self, parameters: Parameters, episode: Episode, noise: TaskNoise, mixture: Mixture) -> Tensor:
        """Scores of the query set by an adapted tree, whose head is the task's own, shape ``(queries, way)``.

        The support set is embedded again if the head or batch-norm needs it, with dropout if the query set has it.
        """
        support, query = episode.support, episode.query
        dropout: Tensors = {}
        if noise.query:
            dropout = noise_row(noise.support, -1)
        if self.batch_norm == "running" and self.head.compares and dropout.keys() == noise.query.keys():
            # Neither set is normalised by itself: it is faster to embed both together.
            joined = {name: torch.cat([dropout[name], value]) for name, value in noise.query.items()}
            inputs = join_inputs([support.inputs, query.inputs])
            both = self.features(parameters.weights, inputs, mixture, noise=joined)
            compared, asked = both.split([len(support), len(query)])
        else:
            # Recorded only if it is read: batch-norm that also gives its statistics takes twice the time.
            statistics: Tensors | None = {} if self.batch_norm == "support" else None
            compared = torch.empty(0, device=support.inputs.device)
            if self.looks_again:
                compared = self.features(parameters.weights, support.inputs, mixture, noise=dropout, record=statistics)
            asked = self.features(parameters.weights, query.inputs, mixture, noise=noise.query, statistics=statistics)
        return self.head_scores(parameters.head, asked, compared, support, episode.way)


def stack_rows(rows: list[Tensors], device: torch.device) -> Tensors:
    """Tensors of the same names, stacked by name."""
    return {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]}
