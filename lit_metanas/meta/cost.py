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

    Every inner step looks at the support set once; the head's start and its comparison, and batch-norm statistics,
    once more each; each draw of the meta-gradient repeats the whole. Inner steps that are differentiated themselves
    count twice.

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
    inner = support * (2 if meta_gradient.second_order else 1)
    again = support if learner.head.compares or learner.batch_norm == "support" else 0
    start = support if learner.head.starts_from_support else 0

    def forward(step: int) -> int:
        return learner.supernet.flops(learner.mixture(parameters.logits, noise, step, progress))

    steps = sum(forward(step) * inner for step in range(inner_loop.steps))
    total = 0
    for draw in range(meta_gradient.draws):
        judged = forward(inner_loop.steps + draw)
        first = forward(0) if inner_loop.steps else judged
        total += steps + first * start + judged * (again + query)
    return TRAINING_PASSES * total
