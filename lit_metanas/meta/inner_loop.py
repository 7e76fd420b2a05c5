"""Inner loops: adaptation of weights, logits and head to one task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.differentiation import Differentiation, TensorFunction
from lit_metanas.meta.learner import Group, Learner, Parameters, TaskNoise, Tensors, noise_row
from lit_metanas.records.record import TRAINING_PASSES
from lit_metanas.tasks.task import Episode


@dataclass(frozen=True)
class Adaptation:
    """One task, with all that an inner loop needs to adapt to it."""

    learner: Learner
    episode: Episode
    noise: TaskNoise  # drawn for at least as many steps as the inner loop takes
    progress: float = 1.0  # place in the outer schedule, from 0 to 1
    differentiate: Differentiation = field(default_factory=Differentiation)  # takes the inner gradients

    def flops(self, parameters: Parameters, images: list[int]) -> int:
        """Training cost of the images of successive steps: 3 x forward multiply-adds x images, by the logits alone."""
        # The support set that makes the head's start is added to the first step.
        learner, counts = self.learner, list(images)
        if learner.head.starts_from_support:
            counts[0] += len(self.episode.support)
        return TRAINING_PASSES * sum(
            count * learner.supernet.flops(learner.mixture(parameters.logits, self.noise, step, self.progress))
            for step, count in enumerate(counts)
        )


class InnerLoop(ABC):
    """Moves a learner's parameters on a support set: a pure function of parameters, episode and noise (``Adaptation``).

    Args:
        steps: number of steps.
        learning_rate: of weights and head.
        logit_learning_rate: of logits.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task (MetaNAS's soft pruning) instead
            of following the outer schedule.

    Attributes:
        groups: the parts of the tree that move.

    Example:
        >>> loop: lm.meta.InnerLoop = lm.meta.JointInnerLoop(steps=2)
        >>> loop.groups
        ('weights', 'logits', 'head')
    """

    groups: tuple[Group, ...]

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        restart: bool = False,
    ) -> None:
        if steps < 0:
            raise ValueError(f"Inner loop of {steps} steps: give 0 or more.")
        self.steps = steps
        self.learning_rate = learning_rate
        self.logit_learning_rate = logit_learning_rate
        self.restart = restart

    @abstractmethod
    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Move a task's own tree (``Learner.start``) for ``steps`` steps."""

    def adapt(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Adapt meta-parameters to one task by its support set.

        Returns:
            The adapted tree; ``head`` is the task's own.
        """
        start = self.progress(0, adaptation.progress)
        return self.run(adaptation.learner.start(parameters, adaptation.episode, adaptation.noise, start), adaptation)

    def judge(self, parameters: Parameters, adaptation: Adaptation) -> Tensor:
        """The query scores of an adapted tree, shape ``(queries, way)``."""
        learner, episode, noise = adaptation.learner, adaptation.episode, adaptation.noise
        mixture = learner.mixture(parameters.logits, noise, self.steps, self.progress(self.steps, adaptation.progress))
        return learner.judge(parameters, episode, noise, mixture)

    def support_images(self, episode: Episode, step: int) -> int:
        """The number of support images that ``step`` embeds, with repetition, for the account."""
        return len(episode.support)

    def flops(self, parameters: Parameters, adaptation: Adaptation) -> int:
        """Training cost of adapting to one task: the head's start and the inner steps."""
        images = [self.support_images(adaptation.episode, step) for step in range(self.steps)]
        return adaptation.flops(parameters, images or [0])

    def progress(self, step: int, outer: float) -> float:
        """The relaxation's progress before ``step``; the query set comes after the last step."""
        if self.restart and self.steps:
            return step / self.steps
        return outer

    def step(self, parameters: Parameters, adaptation: Adaptation, groups: tuple[Group, ...], step: int) -> Parameters:
        """One step of gradient descent of some groups down the inner loss."""
        learner, episode, noise = adaptation.learner, adaptation.episode, adaptation.noise
        dropout = noise_row(noise.support, step)

        def loss(moving: Tensors) -> tuple[Tensor, Tensor]:
            tree = parameters.with_tensors(moving)
            mixture = learner.mixture(tree.logits, noise, step, self.progress(step, adaptation.progress))
            value = learner.loss(tree, episode.support, episode.way, mixture, dropout)
            return value, value.detach()

        return self.descend(loss, parameters, adaptation, groups)

    def descend(
        self, loss: TensorFunction, parameters: Parameters, adaptation: Adaptation, groups: tuple[Group, ...]
    ) -> Parameters:
        """The tree after one step of some groups down a loss of their tensors."""
        moving = parameters.flat(groups)
        gradients, _ = adaptation.differentiate(loss, moving)
        rates = dict.fromkeys(moving, self.learning_rate)
        rates |= {name: self.logit_learning_rate for name in moving if name.startswith("logits.")}
        moved = {name: torch.sub(value, gradients[name], alpha=rates[name]) for name, value in moving.items()}
        return parameters.with_tensors(moved)


class NoInnerLoop(InnerLoop):
    """Leave the parameters as they are: the head starts from the support set, or compares with it, and nothing moves.

    Example:
        >>> lm.meta.NoInnerLoop().steps
        0
    """

    groups = ()

    def __init__(self) -> None:
        super().__init__(steps=0)

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Return the tree."""
        return parameters


class JointInnerLoop(InnerLoop):
    """Moves weights, logits and head together by gradient steps (Lian et al. 2020, T-NAS, Eq. 5).

    Args:
        steps: number of steps.
        learning_rate: of weights and head.
        logit_learning_rate: of logits.
        groups: the parts that move: some of ``weights``, ``logits`` and ``head``.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task.

    Example:
        >>> lm.meta.JointInnerLoop(steps=5, groups=("head", "logits")).groups
        ('logits', 'head')
    """

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        groups: tuple[Group, ...] = ("weights", "logits", "head"),
        restart: bool = False,
    ) -> None:
        super().__init__(
            steps=steps,
            learning_rate=learning_rate,
            logit_learning_rate=logit_learning_rate,
            restart=restart,
        )
        known = get_args(Group)
        if not groups or not set(groups) <= set(known):
            raise ValueError(f"Inner loop groups {list(groups)}: give at least one of {', '.join(known)}.")
        self.groups = tuple(group for group in known if group in groups)

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Step jointly."""
        for step in range(self.steps):
            parameters = self.step(parameters, adaptation, self.groups, step)
        return parameters


class HeadInnerLoop(InnerLoop):
    """Adapt the head on features that are computed once (Raghu et al. 2020, ANIL).

    The support set's mixture and dropout masks are therefore the same in all steps.

    Args:
        steps: number of steps.
        learning_rate: of the head.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task.

    Example:
        >>> lm.meta.HeadInnerLoop(steps=5).groups
        ('head',)
    """

    groups = ("head",)

    def __init__(self, *, steps: int, learning_rate: float = 0.1, restart: bool = False) -> None:
        super().__init__(steps=steps, learning_rate=learning_rate, restart=restart)

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Embed the support set once, then step on the head."""
        learner, noise, support = adaptation.learner, adaptation.noise, adaptation.episode.support
        mixture = learner.mixture(parameters.logits, noise, 0, self.progress(0, adaptation.progress))
        features = learner.features(parameters.weights, support.inputs, mixture, noise=noise_row(noise.support, 0))
        if not adaptation.differentiate.second_order:
            # Inner gradients are constants: no graph of the features is needed.
            features = features.detach()

        def loss(moving: Tensors) -> tuple[Tensor, Tensor]:
            head = parameters.with_tensors(moving).head
            scores = learner.head_scores(head, features, features, support, adaptation.episode.way)
            value = cross_entropy(scores, support.labels)
            return value, value.detach()

        for _ in range(self.steps):
            parameters = self.descend(loss, parameters, adaptation, self.groups)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The support set before the first step, and nothing later."""
        return 0 if step else len(episode.support)


class AlternatingInnerLoop(InnerLoop):
    """In each step logits move, then weights and head under the new logits (Elsken et al. 2020, MetaNAS, Section 3.2).

    Args:
        steps: number of steps.
        learning_rate: of weights and head.
        logit_learning_rate: of logits.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task, as in the paper.

    Example:
        >>> lm.meta.AlternatingInnerLoop(steps=5, logit_learning_rate=0.01).restart
        True
    """

    groups = ("weights", "logits", "head")

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        restart: bool = True,
    ) -> None:
        super().__init__(
            steps=steps,
            learning_rate=learning_rate,
            logit_learning_rate=logit_learning_rate,
            restart=restart,
        )

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Move the logits, then weights and head, in each step."""
        for step in range(self.steps):
            parameters = self.step(parameters, adaptation, ("logits",), step)
            parameters = self.step(parameters, adaptation, ("weights", "head"), step)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The support set once for logits and once for weights."""
        return len(episode.support) * 2


@torch.no_grad()
def evaluate(
    learner: Learner,
    inner_loop: InnerLoop,
    parameters: Parameters,
    episode: Episode,
    generator: torch.Generator,
    *,
    support_dropout: bool = False,
    progress: float = 1.0,
) -> Tensor:
    """Adapt to one episode and score its query set without dropout: scores, shape ``(queries, way)``, without graph."""
    noise = learner.draw_noise(
        parameters.logits,
        episode,
        generator,
        steps=inner_loop.steps,
        support_dropout=support_dropout,
        query_dropout=False,
    )
    adaptation = Adaptation(learner, episode, noise, progress)
    return inner_loop.judge(inner_loop.adapt(parameters, adaptation), adaptation)
