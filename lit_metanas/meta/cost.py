"""Training FLOPs of an outer step, and the account of a meta-training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Adaptation
from lit_metanas.meta.meta_gradient import MetaGradient
from lit_metanas.meta.parameters import Parameters
from lit_metanas.records.budget import Cost

TRAINING_PASSES = 3
"""A pass with its gradient costs about three forward passes."""


def training_flops(
    inner_loop: InnerLoop, meta_gradient: MetaGradient, parameters: Parameters, adaptation: Adaptation
) -> int:
    """Training cost of one task's outer gradient: 3 x forward multiply-adds x images, summed over all passes.

    The support set is looked at in the inner steps as the inner loop says, and once more each for the head's start, and
    for its comparison or batch-norm statistics; each draw of the meta-gradient repeats the whole. Inner steps on
    weights or logits that are differentiated themselves count twice.

    Args:
        inner_loop: how parameters move.
        meta_gradient: says how many mixtures the query set is judged under.
        parameters: the meta-parameters; of these only the logits are read.
        adaptation: the task, with its learner and noise.
    """
    learner, episode, noise = adaptation.learner, adaptation.episode, adaptation.noise
    support, query = len(episode.support), len(episode.query)
    again = support if learner.head.compares or learner.batch_norm == "support" else 0
    twice = meta_gradient.second_order and {"weights", "logits"} & set(inner_loop.groups)
    inner = [(2 if twice else 1) * inner_loop.support_images(episode, step) for step in range(inner_loop.steps)]
    draws = meta_gradient.draw_noises(learner, parameters, noise, inner_loop.steps, adaptation.progress)
    images = [*inner, again + query]
    return sum(_flops(parameters, replace(adaptation, noise=one), images) for one in draws)


def adaptation_flops(inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation) -> int:
    """Training cost of adapting to one task: the head's start and the inner steps; arguments as ``training_flops``."""
    steps = range(inner_loop.steps)
    return _flops(
        parameters, adaptation, [inner_loop.support_images(adaptation.episode, step) for step in steps] or [0]
    )


def _flops(parameters: Parameters, adaptation: Adaptation, images: list[int]) -> int:
    """Cost of so many images under the mixtures of successive steps, the head's start under the first."""
    learner = adaptation.learner
    mixtures = (
        learner.mixture(parameters.logits, adaptation.noise, step, adaptation.progress) for step in range(len(images))
    )
    start = len(adaptation.episode.support) if learner.head.starts_from_support else 0
    counts = [images[0] + start, *images[1:]]
    return TRAINING_PASSES * sum(
        learner.supernet.flops(mixture) * count for mixture, count in zip(mixtures, counts, strict=True)
    )


class Account:
    """Images and seconds of a training, and what the trainings before it cost.

    Attributes:
        earlier: cost of the trainings that this one started from.
        images: training images seen, with repetition, over all processes.
        seconds: wall time, with the validations between steps.
        skipped: tasks that were left out.
    """

    def __init__(self) -> None:
        self.earlier = Cost()
        self.images, self.seconds, self.skipped = 0, 0.0, 0
        self._clock = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def step(self, images: int) -> None:
        """Add one step's images, and the time since the last one."""
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self.images += images

    def total(self, *, steps: int, flops: int) -> Cost:
        """Everything; steps and FLOPs are those of this training."""
        return self.earlier + Cost(steps=steps, images=self.images, flops=flops, seconds=round(self.seconds, 3))

    def state(self) -> dict[str, Any]:
        """Plain values."""
        own = {"images": self.images, "seconds": self.seconds, "skipped": self.skipped}
        return {**own, "earlier": asdict(self.earlier)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.images, self.seconds, self.earlier = state["images"], state["seconds"], Cost(**state["earlier"])
        self.skipped = int(state.get("skipped", 0))  # checkpoints of version 0.1 do not know
