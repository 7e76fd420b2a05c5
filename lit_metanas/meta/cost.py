"""What one adapted task costs."""

from __future__ import annotations

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.meta_gradient import MetaGradient
from lit_metanas.meta.noise import TaskNoise
from lit_metanas.meta.parameters import Parameters

TRAINING_PASSES = 3
"""A pass with its gradient costs about three forward passes."""


def training_flops(
    learner: Learner,
    inner_loop: InnerLoop,
    meta_gradient: MetaGradient,
    parameters: Parameters,
    episode: Episode,
    noise: TaskNoise,
    progress: float,
) -> int:
    """Training cost of one task's outer gradient: 3 x forward multiply-adds x images, summed over all passes.

    The support set is looked at in the inner steps as the inner loop says, and once more each for the head's start, and
    for its comparison or batch-norm statistics; each draw of the meta-gradient repeats the whole. Inner steps on
    weights or logits that are differentiated themselves count twice.

    Args:
        learner: supernet, relaxation and head.
        inner_loop: adaptation.
        meta_gradient: says how many mixtures the query set is judged under.
        parameters: the meta-parameters; of these only the logits are read.
        episode: the task.
        noise: its noise.
        progress: place in the outer schedule.
    """
    support, query = len(episode.support), len(episode.query)
    again = support if learner.head.compares or learner.batch_norm == "support" else 0
    twice = meta_gradient.second_order and {"weights", "logits"} & set(inner_loop.groups)
    inner = [(2 if twice else 1) * inner_loop.support_images(episode, step) for step in range(inner_loop.steps)]
    draws = meta_gradient.draw_noises(learner, parameters, noise, inner_loop.steps, progress)
    return sum(_flops(learner, parameters, episode, one, progress, [*inner, again + query]) for one in draws)


def adaptation_flops(
    learner: Learner, inner_loop: InnerLoop, parameters: Parameters, episode: Episode, noise: TaskNoise
) -> int:
    """Training cost of adapting to one task, at the end of the outer schedule: the head's start and the inner steps.

    Arguments as of ``training_flops``.
    """
    inner = [inner_loop.support_images(episode, step) for step in range(inner_loop.steps)]
    return _flops(learner, parameters, episode, noise, 1.0, inner or [0])


def _flops(
    learner: Learner, parameters: Parameters, episode: Episode, noise: TaskNoise, progress: float, images: list[int]
) -> int:
    """Cost of so many images under the mixtures of successive steps, the head's start under the first."""
    start = len(episode.support) if learner.head.starts_from_support else 0
    return TRAINING_PASSES * sum(
        learner.supernet.flops(learner.mixture(parameters.logits, noise, step, progress)) * (count + start * (not step))
        for step, count in enumerate(images)
    )
