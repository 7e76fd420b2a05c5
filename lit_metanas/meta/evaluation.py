"""Evaluation of a learner on one episode, by its query set or by support examples that are left out."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.inner_loop import Adaptation, InnerLoop
from lit_metanas.meta.learner import Adapted, Learner, Parameters
from lit_metanas.records.budget import Cost
from lit_metanas.tasks.task import Episode, Split


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
        >>> import torch
        >>> import lit_metanas as lm
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


@torch.no_grad()
def left_out_losses(
    learner: Learner,
    inner_loop: InnerLoop,
    parameters: Parameters,
    episode: Episode,
    generator: torch.Generator,
) -> tuple[Tensor, Cost]:
    """The cross-entropy of each support example, predicted from the others.

    One example of each class is left out at a time, so that the classes keep equal sizes. An episode of ``shot`` shots
    therefore needs ``shot`` adaptations, with one shot less each. The query set is not read.

    Args:
        learner: supernet, relaxation and head.
        inner_loop: adaptation; dropout is on in its steps.
        parameters: the meta-parameters.
        episode: of two or more shots.
        generator: for stochastic relaxations and dropout.

    Returns:
        The losses, shape ``(way * shot,)``, in the order of the support set; and the cost of the inner steps.

    Raises:
        ValueError: the episode has one shot.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(shared=True)
        >>> supernet = space.supernet((1, 8, 8))
        >>> logits = {choice.name: torch.zeros(len(choice.labels)) for choice in space.choices}
        >>> parameters = lm.meta.Parameters(dict(supernet.named_parameters()), logits, {})
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> episode = lm.tasks.draw_episode(source, "train", seed=0, epoch=0, index=0, way=2, shot=3, query=3)
        >>> learner = lm.meta.Learner(supernet, lm.relaxations.Softmax(), lm.meta.PrototypeHead())
        >>> losses, _ = lm.meta.left_out_losses(learner, lm.meta.NoInnerLoop(), parameters, episode, torch.Generator())
        >>> losses.shape
        torch.Size([6])
    """
    if episode.shot < 2:
        raise ValueError(f"Episode '{episode.id}' has one shot, of which none can be left out: give it two or more.")
    support, steps = episode.support, inner_loop.steps
    places = torch.arange(len(support), device=support.labels.device) % episode.shot  # the support is sorted by class
    features = None
    if not steps and learner.batch_norm == "running" and learner.statistics is not None:
        features = _features_once(learner, parameters, episode, generator)
    found, cost = [], Cost()
    for place in range(episode.shot):
        out = places == place
        kept, asked = (Split(support.inputs[part], support.labels[part]) for part in (~out, out))
        if features is None:
            part = replace(episode, train=kept, test=asked)
            noise = learner.draw_noise(
                parameters.logits, part, generator, steps=steps, support_dropout=steps > 0, query_dropout=False
            )
            adaptation = Adaptation(learner, part, noise)
            scores = inner_loop.query_scores(parameters, adaptation)
            if steps:
                images = sum(inner_loop.support_images(part, step) for step in range(steps))
                cost += Cost(steps=steps, images=images, flops=inner_loop.flops(parameters, adaptation))
        else:
            head = learner.start_head(parameters.head, features[~out], kept, episode.way)
            scores = learner.head_scores(head, features[out], features[~out], kept, episode.way)
        found.append(cross_entropy(scores, asked.labels, reduction="none"))
    return torch.stack(found, dim=1).flatten(), cost


def _features_once(learner: Learner, parameters: Parameters, episode: Episode, generator: torch.Generator) -> Tensor:
    """The support set's features, shape ``(n, features)``, if they do not depend on the example that is left out."""
    noise = learner.draw_noise(parameters.logits, episode, generator, steps=0)
    mixture = learner.mixture(parameters.logits, noise, 0, 1.0)
    return learner.features(parameters.weights, episode.support.inputs, mixture)
