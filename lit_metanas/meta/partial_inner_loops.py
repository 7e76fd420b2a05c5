"""Inner loops that move one part of the parameters at a time: the head alone, or logits and weights in turn."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.inner_loop import Adaptation, InnerLoop
from lit_metanas.meta.learner import Group, Parameters, Tensors, noise_row
from lit_metanas.tasks.task import Episode, Split


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

    def __init__(self, *, steps: int, learning_rate: float = 0.1, restart: bool = False) -> None:
        super().__init__(steps=steps, learning_rate=learning_rate, restart=restart)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The head moves."""
        return ("head",)

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Embed the support set once, then step on the head."""
        learner, noise, episode = adaptation.learner, adaptation.noise, adaptation.episode
        support = episode.support
        mixture = learner.mixture(parameters.logits, noise, 0, self.progress(0, adaptation.progress))
        features = learner.features(parameters.weights, support.inputs, mixture, noise=noise_row(noise.support, 0))
        if not adaptation.differentiate.second_order:
            features = features.detach()

        def loss(moving: Tensors) -> tuple[Tensor, Tensor]:
            head = parameters.with_tensors(moving).head
            scores = learner.head_scores(head, features, features, support, episode.way)
            value = cross_entropy(scores, support.labels)
            return value, value.detach()

        for _ in range(self.steps):
            parameters = self.descend(loss, parameters, adaptation, self.groups)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The support set before the first step, and nothing later."""
        if step:
            return 0
        return len(episode.support)


class AlternatingInnerLoop(InnerLoop):
    """In each step logits move, then weights and head under the new logits (Elsken et al. 2020, MetaNAS, Section 3.2).

    Args:
        steps: number of steps.
        learning_rate: of weights and head.
        logit_learning_rate: of logits.
        logit_split: share of each class's support examples that logits move on, while weights move on the others; 0
            moves both on the whole support set.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task, as in the paper.

    Example:
        >>> lm.meta.AlternatingInnerLoop(steps=5, logit_learning_rate=0.01).restart
        True
    """

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        logit_split: float = 0.0,
        restart: bool = True,
    ) -> None:
        super().__init__(
            steps=steps,
            learning_rate=learning_rate,
            logit_learning_rate=logit_learning_rate,
            restart=restart,
        )
        if not 0 <= logit_split < 1:
            raise ValueError(f"logit_split {logit_split} is outside [0, 1): give the share of the support for logits.")
        self.logit_split = logit_split

    @property
    def groups(self) -> tuple[Group, ...]:
        """All move."""
        return ("weights", "logits", "head")

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Move the logits, then weights and head, in each step."""
        moving: tuple[tuple[Group, ...], ...] = (("logits",), ("weights", "head"))
        parts = (adaptation, adaptation)
        if self.logit_split:
            first, second = self._split(adaptation.episode)
            parts = (_part(adaptation, first), _part(adaptation, second))
        for step in range(self.steps):
            for groups, part in zip(moving, parts, strict=True):
                parameters = self.step(parameters, part, groups, step)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The whole support set once for logits and once for weights, or each half of it."""
        if self.logit_split:
            return len(episode.support)
        return len(episode.support) * 2

    def _split(self, episode: Episode) -> tuple[Tensor, Tensor]:
        """Positions of the logits' and of the weights' examples, the same share of every class."""
        cut = max(1, round(self.logit_split * episode.shot))
        if cut >= episode.shot:
            raise ValueError(
                f"logit_split {self.logit_split} leaves no support example for weights at {episode.shot} shot: "
                "give 0 or more shots."
            )
        places = torch.arange(episode.way * episode.shot, device=episode.support.labels.device)
        by_class = places.view(episode.way, episode.shot)
        return by_class[:, :cut].reshape(-1), by_class[:, cut:].reshape(-1)


def _part(adaptation: Adaptation, members: Tensor) -> Adaptation:
    """The adaptation with some examples of the support set, and their dropout noise."""
    episode, noise = adaptation.episode, adaptation.noise
    part = replace(episode, train=Split(episode.support.inputs[members], episode.support.labels[members]))
    rows = {name: value[:, members] for name, value in noise.support.items()}
    return replace(adaptation, episode=part, noise=noise._replace(support=rows))
