"""What one adapted task costs."""

from __future__ import annotations

from dataclasses import replace

from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.meta_gradient import MetaGradient
from lit_metanas.meta.parameters import Parameters

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
