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
    start = support if learner.head.starts_from_support else 0
    twice = meta_gradient.second_order and {"weights", "logits"} & set(inner_loop.groups)
    inner = [(2 if twice else 1) * inner_loop.support_images(episode, step) for step in range(inner_loop.steps)]
    total = 0
    for one in meta_gradient.draw_noises(learner, parameters, noise, inner_loop.steps, progress):
        forward = [
            learner.supernet.flops(learner.mixture(parameters.logits, one, step, progress))
            for step in range(inner_loop.steps + 1)
        ]
        # The start is made under the first step's mixture, the query set is judged after the last one.
        images = [*inner, again + query]
        images[0] += start
        total += sum(cost * count for cost, count in zip(forward, images, strict=True))
    return TRAINING_PASSES * total
