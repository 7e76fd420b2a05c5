"""Evaluation of a learner on one episode, by its query set or by support examples that are left out."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.meta.inner_loop import Adaptation, InnerLoop
from lit_metanas.meta.learner import Adapted, Learner, Parameters
from lit_metanas.tasks.task import Episode


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

    A learner without an inner loop takes ``NoInnerLoop``.

    Args:
        learner: supernet, relaxation and head; the relaxation ``Derived`` scores the derived architecture.
        inner_loop: adaptation.
        parameters: the meta-parameters.
        episode: the task.
        generator: for stochastic relaxations and dropout.
        support_dropout: whether dropout is on while adapting.
        progress: place in the outer schedule.

    Returns:
        Query scores, shape ``(queries, way)``, and the adapted state (parameters, batch-norm statistics), both
        without graph.

    Example:
        >>> space = lm.LayeredSpace(shared=True)
        >>> supernet = space.supernet((1, 8, 8))
        >>> logits = {choice.name: torch.zeros(len(choice.labels)) for choice in space.choices}
        >>> parameters = lm.meta.Parameters(dict(supernet.named_parameters()), logits, {})
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> episode = lm.tasks.draw_episode(source, "train", seed=0, epoch=0, index=0, way=2, shot=1, query=3)
        >>> learner = lm.meta.Learner(supernet, lm.relaxations.Softmax(), lm.meta.PrototypeHead())
        >>> scores, _ = lm.meta.evaluate(learner, lm.meta.NoInnerLoop(), parameters, episode, torch.Generator())
        >>> scores.shape
        torch.Size([6, 2])
    """
    noise = learner.draw_noise(
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
