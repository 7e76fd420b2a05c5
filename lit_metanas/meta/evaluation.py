"""Judging meta-parameters on an episode, whatever they were trained by."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Adapted, Learner
from lit_metanas.meta.noise import draw
from lit_metanas.meta.parameters import Parameters


def evaluate(
    learner: Learner,
    inner_loop: InnerLoop,
    parameters: Parameters,
    episode: Episode,
    generator: torch.Generator,
    *,
    support_dropout: bool = False,
    progress: float = 1.0,
) -> tuple[Tensor, Adapted]:
    """Adapt to one episode and score its query set without dropout.

    Learners without an inner loop go the same way, with ``NoInnerLoop``.

    Args:
        learner: supernet, relaxation and head; with ``Argmax`` the architecture that would be derived is judged.
        inner_loop: adaptation.
        parameters: the meta-parameters.
        episode: the task.
        generator: for stochastic relaxations and dropout.
        support_dropout: whether dropout is on while adapting.
        progress: place in the outer schedule.

    Returns:
        Query scores, shape ``(queries, way)``, and the adapted state (parameters, batch-norm statistics), both
        without graph.
    """
    noise = draw(
        learner.supernet,
        learner.relaxation,
        parameters.logits,
        episode,
        generator,
        steps=inner_loop.steps,
        support_dropout=support_dropout,
        query_dropout=False,
    )
    with torch.no_grad():
        adaptation = Adaptation(learner, episode, noise, progress)
        state, scores = inner_loop.judge(inner_loop.adapt(parameters, adaptation), adaptation)
    return scores, state
