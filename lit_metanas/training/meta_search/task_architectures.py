"""Architectures of single evaluated episodes, derived from adapted logits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lit_metanas.inputs.batches import channels_last
from lit_metanas.meta import InnerLoop, Learner, Parameters
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.meta.learner import ADAPTED_LOGITS, task_generator
from lit_metanas.records.budget import Cost
from lit_metanas.relaxations import Derived
from lit_metanas.spaces import Architecture, SearchSpace, one_hot
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.task import Episode


@dataclass(frozen=True)
class MetaTrained:
    """What meta-training left."""

    space: SearchSpace
    learner: Learner
    inner_loop: InnerLoop
    parameters: Parameters
    images: Tensor  # of the last training tasks; none where nothing was trained
    seed: int

    def statistics_of(self, architecture: Architecture) -> dict[str, Tensor]:
        """Batch-norm statistics of an architecture over the last training tasks; empty where there are none."""
        if not len(self.images):
            return {}
        mixture = one_hot(self.space.choices, architecture)
        weights = self.parameters.weights
        return embed_and_record(self.learner.supernet, weights, mixture, channels_last(self.images))[1]


class AdaptedLogits:
    """Derives an architecture from logits that adapt in the inner loop (Lian et al. 2020, T-NAS, Algorithm 2).

    Logits adapt under the relaxation and with each batch's own batch-norm statistics; the largest ones are the
    episode's architecture. What else moved beside them is given up: weights and head adapt anew, under the
    architecture alone. Weights that were trained in a mixture of candidates serve a single one badly.

    Attributes:
        found: the architectures of the episodes since the evaluation began.
        cost: of finding them.
        statistics: batch-norm means and variances of each architecture that was found.

    Example:
        >>> architectures = lm.training.AdaptedLogits()  # ``task_architectures`` of ``MetaSearch``
        >>> architectures.check(lm.meta.JointInnerLoop(steps=5, groups=("logits", "head")))
    """

    def __init__(self) -> None:
        self.found: list[Architecture] = []
        self.cost = Cost()
        self.statistics: dict[Architecture, Mapping[str, Tensor]] = {}
        self._trained: MetaTrained | None = None

    @property
    def mean_cost(self) -> Cost:
        """Of finding one architecture."""
        total, episodes = self.cost, len(self.found)
        whole = {name: round(getattr(total, name) / episodes) for name in ("queries", "steps", "images", "flops")}
        return Cost(**whole, seconds=total.seconds / episodes)

    def check(self, inner_loop: InnerLoop) -> None:
        """Ask for steps that move logits."""
        if not inner_loop.steps or "logits" not in inner_loop.groups:
            raise ValueError(
                f"AdaptedLogits needs an inner loop that moves logits, not {type(inner_loop).__name__} with "
                f"{inner_loop.steps} steps: give JointInnerLoop or AlternatingInnerLoop."
            )

    def begin(self, trained: MetaTrained) -> None:
        """Forget earlier episodes; those to come are of what ``trained`` holds."""
        self.found, self.cost, self._trained = [], Cost(), trained
        self.statistics.clear()

    @torch.no_grad()
    def take(self, episode: Episode, number: int) -> tuple[Learner, Parameters]:
        """What judges an episode, of which only the support set is read; ``number`` is its place in its series.

        The learner has the supernet, under a relaxation that computes the episode's architecture alone.
        """
        trained, begin = self._trained, time.perf_counter()
        assert trained is not None
        learner, inner_loop = replace(trained.learner, statistics=None), trained.inner_loop
        steps, generator = inner_loop.steps, task_generator(trained.seed, ADAPTED_LOGITS, number)
        noise = learner.draw_noise(trained.parameters.logits, episode, generator, steps=steps)
        adaptation = Adaptation(learner, episode, noise)
        adapted = inner_loop.adapt(trained.parameters, adaptation)
        architecture = trained.space.derive(adapted.logits)
        if architecture not in self.statistics:
            self.statistics[architecture] = trained.statistics_of(architecture)
        learner = replace(learner, relaxation=Derived(trained.space), statistics=self.statistics[architecture])
        self.found.append(architecture)
        self.cost += Cost(
            steps=steps,
            images=sum(inner_loop.support_images(episode, step) for step in range(steps)),
            flops=inner_loop.flops(trained.parameters, adaptation),
            seconds=time.perf_counter() - begin,
        )
        return learner, trained.parameters._replace(logits=adapted.logits)
