"""Architectures of single evaluated episodes: derived from adapted logits, or by a guarded comparison."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lit_metanas.inputs.batches import channels_last
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta import Adaptation, InnerLoop, Learner, Parameters, left_out_losses, task_generator
from lit_metanas.meta.learner import ADAPTED_LOGITS, LEFT_OUT
from lit_metanas.records.budget import Cost
from lit_metanas.records.statistics import leads
from lit_metanas.relaxations import Derived, Relaxation, probabilities
from lit_metanas.spaces import Architecture, Choice, Gate, Mixture, SearchSpace, Supernet, one_hot
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.task import Episode
from lit_metanas.training.meta_search.meta_checkpoint import MetaCheckpoint, check_data, read_meta_checkpoint


@dataclass(frozen=True)
class EpisodeNetwork:
    """What an episode is judged by."""

    architecture: Architecture
    learner: Learner  # the supernet that has its weights, under a relaxation that computes it alone
    parameters: Parameters


@dataclass(frozen=True)
class MetaTrained:
    """What meta-training left."""

    space: SearchSpace
    shape: Shape
    learner: Learner
    inner_loop: InnerLoop
    parameters: Parameters
    statistics: Mapping[str, Tensor]  # of batch-norm, for the derived architecture
    images: Tensor  # of the last training tasks; none where nothing was trained
    seed: int
    preprocessing: Preprocessing | None = None

    @property
    def derived(self) -> EpisodeNetwork:
        """The network of the largest logits, which all episodes have that take none of their own."""
        architecture = self.space.derive(self.parameters.logits)
        learner = replace(self.learner, relaxation=Derived(self.space), statistics=self.statistics)
        return EpisodeNetwork(architecture, learner, self.parameters)

    def statistics_of(
        self, architecture: Architecture, space: SearchSpace, supernet: Supernet, weights: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Batch-norm statistics of an architecture over the last training tasks; empty where there are none."""
        if not len(self.images):
            return {}
        mixture = one_hot(space.choices, architecture)
        return embed_and_record(supernet, weights, mixture, channels_last(self.images))[1]


class TaskArchitectures(ABC):
    """Takes an architecture for each evaluated episode, by its support set alone.

    Attributes:
        space: what the architectures are of; None where that is the space of the evaluated model.
        found: the architectures of the episodes since the evaluation began.
        cost: of finding them.

    Example:
        >>> import lit_metanas as lm
        >>> way: lm.training.TaskArchitectures = lm.training.GuardedArchitectures(margin=3.0)
        >>> way.found
        []
    """

    space: SearchSpace | None = None

    def __init__(self) -> None:
        self.found: list[Architecture] = []
        self.cost = Cost()
        self._trained: MetaTrained | None = None

    @property
    def meta_cost(self) -> Cost:
        """Of meta-training that the evaluated model does not count itself."""
        return Cost()

    @property
    def mean_cost(self) -> Cost:
        """Of finding one architecture."""
        total, episodes = self.cost, len(self.found)
        whole = {name: round(getattr(total, name) / episodes) for name in ("queries", "steps", "images", "flops")}
        return Cost(**whole, seconds=total.seconds / episodes)

    def check(self, inner_loop: InnerLoop) -> None:
        """Raise ValueError where the inner loop does not suit."""
        del inner_loop

    def begin(self, trained: MetaTrained) -> None:
        """Forget earlier episodes; those to come are of what ``trained`` holds."""
        self.found, self.cost, self._trained = [], Cost(), trained

    @torch.no_grad()
    def take(self, episode: Episode, number: int) -> EpisodeNetwork:
        """The network for an episode.

        Args:
            episode: only its support set is read.
            number: place of the episode in its series.
        """
        assert self._trained is not None
        begin = time.perf_counter()
        network, cost = self.choose(self._trained, episode, number)
        self.cost += replace(cost, seconds=time.perf_counter() - begin)
        self.found.append(network.architecture)
        return network

    @abstractmethod
    def choose(self, trained: MetaTrained, episode: Episode, number: int) -> tuple[EpisodeNetwork, Cost]:
        """The network for an episode, and what it cost to find it; see ``take``."""


class AdaptedLogits(TaskArchitectures):
    """Derives an architecture from logits that adapt in the inner loop (Lian et al. 2020, T-NAS, Algorithm 2).

    Logits adapt under the relaxation and with each batch's own batch-norm statistics; the largest ones are the
    episode's architecture. What else moved beside them is given up: weights and head adapt anew, under the
    architecture alone. Weights that were trained in a mixture of candidates serve a single one badly: see
    ``GuardedArchitectures``.

    Attributes:
        statistics: batch-norm means and variances of each architecture that was found.

    Example:
        >>> import lit_metanas as lm
        >>> model = lm.MetaSearch(
        ...     space=lm.LayeredSpace(shared=True),
        ...     meta_gradient=lm.meta.FOMAML(),
        ...     inner_loop=lm.meta.JointInnerLoop(steps=5, groups=("logits", "head")),
        ...     head=lm.meta.PrototypeLinearHead(),
        ...     task_architectures=lm.training.AdaptedLogits(),
        ... )
    """

    def __init__(self) -> None:
        super().__init__()
        self.statistics: dict[Architecture, Mapping[str, Tensor]] = {}

    def check(self, inner_loop: InnerLoop) -> None:
        """Ask for steps that move logits."""
        if not inner_loop.steps or "logits" not in inner_loop.groups:
            raise ValueError(
                f"AdaptedLogits needs an inner loop that moves logits, not {type(inner_loop).__name__} with "
                f"{inner_loop.steps} steps: give JointInnerLoop or AlternatingInnerLoop."
            )

    def begin(self, trained: MetaTrained) -> None:
        """Forget earlier episodes."""
        super().begin(trained)
        self.statistics.clear()

    def choose(self, trained: MetaTrained, episode: Episode, number: int) -> tuple[EpisodeNetwork, Cost]:
        """Adapt the logits."""
        learner, inner_loop = replace(trained.learner, statistics=None), trained.inner_loop
        steps, generator = inner_loop.steps, task_generator(trained.seed, ADAPTED_LOGITS, number)
        noise = learner.draw_noise(trained.parameters.logits, episode, generator, steps=steps)
        adaptation = Adaptation(learner, episode, noise)
        adapted = inner_loop.adapt(trained.parameters, adaptation)
        cost = Cost(
            steps=steps,
            images=sum(inner_loop.support_images(episode, step) for step in range(steps)),
            flops=inner_loop.flops(trained.parameters, adaptation),
        )
        architecture, known = trained.space.derive(adapted.logits), self.statistics
        if architecture not in known:
            weights = trained.parameters.weights
            known[architecture] = trained.statistics_of(architecture, trained.space, learner.supernet, weights)
        learner = replace(learner, relaxation=Derived(trained.space), statistics=known[architecture])
        return EpisodeNetwork(architecture, learner, trained.parameters._replace(logits=adapted.logits)), cost


class GuardedArchitectures(TaskArchitectures):
    """Leaves the meta-searched architecture only for one that is better on the support set, by a margin.

    The incumbent is the network that all episodes have, on its own weights. A few other children are compared with it
    by their losses on support examples that are left out (``left_out_losses``), each on weights and batch-norm
    statistics of meta-training: those of a supernet whose single children were trained, such as
    ``configs/fit/sampled_paths.yaml`` leaves. They are the likeliest ones by its meta-learned logits. The statistics
    are taken once for each child, over the model's last training tasks. An episode takes the child of the smallest mean
    loss among those that lead the incumbent by the margin (``leads``), else the incumbent, whose scores are then
    exactly those of a model without this object. With one shot nothing can be left out, and each episode keeps the
    incumbent.

    Scoring children is a query each; nothing is trained but what the inner loop moves, which is charged.

    Args:
        start: checkpoint of the meta-training that has the weights of the other children, and their logits; None takes
            those of the model itself.
        space: of the other children, which ``start`` has weights for; None is the model's. A model that is fixed to
            one architecture has no others.
        children: how many of them.
        margin: standard errors by which one of them must lead; the more there are, the larger the margin becomes
            (Bonferroni), so that the incumbent is left by chance as seldom as for a single one. With 0 any smaller mean
            loss does.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: a number is out of its range, or the checkpoint is damaged or was not written by meta-training.

    Example:
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(shared=True)
        >>> model = lm.MetaSearch(space=space, task_architectures=lm.training.GuardedArchitectures(children=4))
    """

    def __init__(
        self, *, start: str | None = None, space: SearchSpace | None = None, children: int = 3, margin: float = 2.0
    ) -> None:
        super().__init__()
        if children < 1 or not margin >= 0:
            raise ValueError(
                f"GuardedArchitectures: children is {children} and margin {margin}; give at least 1 child, and 0 or "
                "more standard errors."
            )
        self.start = start
        self.space = space
        self.children = children
        self.margin = margin
        self._checkpoint: MetaCheckpoint | None = None
        if start is not None:
            self._checkpoint = read_meta_checkpoint(start)
        self._incumbent: EpisodeNetwork | None = None
        self._others: list[EpisodeNetwork] = []

    @property
    def meta_cost(self) -> Cost:
        """Of the other children's weights; a search that the model went on from, too, is counted with both."""
        if self._checkpoint is None:
            return Cost()
        return self._checkpoint.cost

    @torch.no_grad()
    def begin(self, trained: MetaTrained) -> None:
        """Take the other children, and their batch-norm statistics."""
        super().begin(trained)
        incumbent, space = trained.derived, self.space or trained.space
        learner, parameters = trained.learner, trained.parameters
        if self._checkpoint is not None:
            check_data(self._checkpoint.inputs, trained.preprocessing)
            with torch.random.fork_rng(devices=[]):
                parameters = self._checkpoint.parameters(space, trained.shape)
                supernet = space.supernet(trained.shape)
            like = next(iter(trained.parameters.weights.values()))
            parameters, supernet = parameters.map(lambda value: value.to(like)), supernet.to(like)
            learner = replace(learner, supernet=supernet)
        likeliest = likeliest_architectures(parameters.logits, space, self.children + 1)
        others = [one for one in likeliest if one != incumbent.architecture][: self.children]
        if not others:
            raise ValueError(
                "GuardedArchitectures has no other architecture to compare with, for the model is fixed to one: give "
                "'start', a checkpoint that has the weights of others, and its 'space'."
            )
        self._incumbent = incumbent
        self._others = []
        for one in others:
            statistics = trained.statistics_of(one, space, learner.supernet, parameters.weights)
            alone = replace(learner, relaxation=_Alone(space, one), statistics=statistics)
            self._others.append(EpisodeNetwork(one, alone, parameters))

    def choose(self, trained: MetaTrained, episode: Episode, number: int) -> tuple[EpisodeNetwork, Cost]:
        """Compare on the support set."""
        incumbent = self._incumbent
        assert incumbent is not None
        if episode.shot < 2:
            return incumbent, Cost()
        networks, inner_loop = [incumbent, *self._others], trained.inner_loop
        losses, costs = [], []
        for network in networks:
            generator = task_generator(trained.seed, LEFT_OUT, number)
            loss, cost = left_out_losses(network.learner, inner_loop, network.parameters, episode, generator)
            losses.append(loss.double())
            costs.append(replace(cost, queries=1))
        chosen = incumbent
        smallest = losses[0].mean()
        for network, loss in zip(self._others, losses[1:], strict=True):
            if loss.mean() < smallest and leads(losses[0] - loss, self.margin, among=len(self._others)):
                chosen, smallest = network, loss.mean()
        return chosen, sum(costs, Cost())


def likeliest_architectures(logits: Mapping[str, Tensor], space: SearchSpace, number: int) -> list[Architecture]:
    """So many different architectures of the largest probability, under independent ``softmax(logits)``."""
    # Pruned candidates and what cannot be built are left out. An inactive choice takes no part in the probability. A
    # beam of prefixes is extended by one choice at a time; a prefix is worth its likeliest completion, as far as it
    # decides which choices are active. There may be fewer, since a space may know several assignments as one.
    kept = 16 * number
    shares = {choice.name: probabilities(logits[choice.name].double()).log().tolist() for choice in space.choices}
    prefixes: list[tuple[float, dict[str, str]]] = [(0.0, {})]
    for place, choice in enumerate(space.choices, start=1):
        longer = [each for each in prefixes if not choice.active(each[1])]
        longer += [
            (sum_ + share, {**labels, choice.name: label})
            for sum_, labels in prefixes
            if choice.active(labels)
            for label, share in zip(choice.labels, shares[choice.name], strict=True)
            if share > -torch.inf
        ]
        best = [(later, max(shares[later.name])) for later in space.choices[place:] if later.active_if]
        prefixes = sorted(longer, key=lambda each: _worth(each, best), reverse=True)[:kept]
    found = dict.fromkeys(space.canonical(labels) for _, labels in prefixes)
    return [one for one in found if space.violation(one) is None][:number]


def _worth(prefix: tuple[float, dict[str, str]], best: list[tuple[Choice, float]]) -> float:
    """Of a prefix: what later choices add that only some prefixes make active, each with its likeliest label."""
    return prefix[0] + sum(share for later, share in best if later.active(prefix[1]))


class _Alone(Relaxation):
    """Computes one architecture, whatever the logits are."""

    discrete = True

    def __init__(self, space: SearchSpace, architecture: Architecture) -> None:
        self.gates = one_hot(space.choices, architecture)

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        return {name: Gate(gate.weights.to(logits[name]), gate.index) for name, gate in self.gates.items()}
