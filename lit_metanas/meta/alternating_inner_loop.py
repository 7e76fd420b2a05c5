"""Logits first, then weights."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lit_metanas.episodes.task import Episode, Split
from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.parameters import Group, Parameters
from lit_metanas.meta.update_rule import UpdateRule


class AlternatingInnerLoop(InnerLoop):
    """In each step logits move, then weights and head under the new logits (Elsken et al. 2020, MetaNAS, Section 3.2).

    Args:
        steps: number of steps.
        learning_rate: of weights.
        logit_learning_rate: of logits.
        head_learning_rate: of the head; that of weights where None.
        logit_split: share of each class's support examples on which logits move, weights on the others; 0 moves both
            on the whole support set.
        rule: what a step does with a gradient; ``SGD()`` where None.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task, as in the paper.
    """

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        head_learning_rate: float | None = None,
        logit_split: float = 0.0,
        rule: UpdateRule | None = None,
        restart: bool = True,
    ) -> None:
        super().__init__(
            steps=steps,
            learning_rate=learning_rate,
            logit_learning_rate=logit_learning_rate,
            head_learning_rate=head_learning_rate,
            rule=rule,
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
        """Alternate."""
        moving: tuple[tuple[Group, ...], ...] = (("logits",), ("weights", "head"))
        parts = (adaptation, adaptation)
        if self.logit_split:
            first, second = self._split(adaptation.episode)
            parts = (_part(adaptation, first), _part(adaptation, second))
        states = [self.rule.start(parameters.flat(groups)) for groups in moving]
        for step in range(self.steps):
            for turn, (groups, part) in enumerate(zip(moving, parts, strict=True)):
                parameters, states[turn] = self.step(parameters, part, groups, states[turn], step)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The whole support set once for logits and once for weights, or each half of it."""
        del step
        return len(episode.support) * (1 if self.logit_split else 2)

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
