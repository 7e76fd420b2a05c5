"""Scores of evaluated episodes, and the architecture that each of them derives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lit_metanas.meta import Adaptation, InnerLoop, Learner, Parameters, evaluate, task_generator
from lit_metanas.records.budget import Cost
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.task import Episode, Split
from lit_metanas.training.collectives import interleaved


class EpisodeScores:
    """One accuracy an episode, brought into the episodes' order over all processes.

    Args:
        seed: of what is drawn in evaluation.

    Attributes:
        mine: this process's accuracies; episode ``i`` of process ``rank`` is number ``i * world_size + rank``.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.mine: list[float] = []

    def number(self, trainer: Trainer) -> int:
        """The number of this process's next episode."""
        return len(self.mine) * trainer.world_size + trainer.global_rank

    def judge(
        self,
        learner: Learner,
        inner_loop: InnerLoop,
        parameters: Parameters,
        episodes: Sequence[Episode],
        trainer: Trainer,
    ) -> None:
        """Adapt to each of this process's next episodes, outside of inference mode, and add its accuracy."""
        # Dropout is a part of adaptation, but not of a mere look at the support set.
        dropout = inner_loop.steps > 0
        for episode in map(normal, episodes):
            generator = task_generator(self.seed, -1, self.number(trainer))
            scores, _ = evaluate(learner, inner_loop, parameters, episode, generator, support_dropout=dropout)
            right = int((scores.argmax(1) == episode.query.labels).sum())
            self.mine.append(right / len(episode.query))

    def gathered(self, trainer: Trainer) -> list[float]:
        """The accuracies of all processes, which have judged as many episodes each, in the episodes' order."""
        if trainer.world_size == 1:
            return list(self.mine)  # double precision, which not every accelerator has
        mine = torch.tensor(self.mine, dtype=torch.float64, device=trainer.strategy.root_device)
        values: list[float] = interleaved(mine, trainer).tolist()
        return values


def normal(episode: Episode) -> Episode:
    """A copy without inference tensors, which gradients cannot flow through; to call outside of inference mode."""
    if not episode.support.inputs.is_inference():
        return episode
    train, test = (Split(split.inputs.clone(), split.labels.clone()) for split in (episode.train, episode.test))
    return replace(episode, train=train, test=test)


class TaskArchitectures:
    """Derives an architecture from the support set of each episode (Lian et al. 2020, T-NAS, Algorithm 2).

    Logits adapt in the inner loop, under the relaxation and with each batch's own batch-norm statistics; the largest
    ones are the task's architecture. What else moved beside them is given up: weights and head adapt anew, under the
    architecture alone.

    Args:
        space: the search space.
        inner_loop: adaptation that moves logits.
        seed: of what is drawn.

    Attributes:
        found: the architectures of the episodes since the last ``clear``.
        cost: of deriving them.
        statistics: batch-norm means and variances of each, where they were asked for.

    Raises:
        ValueError: the inner loop does not move logits.
    """

    def __init__(self, space: SearchSpace, inner_loop: InnerLoop, seed: int) -> None:
        if not inner_loop.steps or "logits" not in inner_loop.groups:
            raise ValueError(
                f"adapt_architecture needs an inner loop that moves logits, not {type(inner_loop).__name__} with "
                f"{inner_loop.steps} steps: give JointInnerLoop or AlternatingInnerLoop."
            )
        self.space = space
        self.inner_loop = inner_loop
        self.seed = seed
        self.cost = Cost()
        self.found: list[Architecture] = []
        self.statistics: dict[Architecture, dict[str, Tensor]] = {}

    def clear(self) -> None:
        """Forget earlier episodes."""
        self.cost = Cost()
        self.found.clear()
        self.statistics.clear()

    @property
    def mean_cost(self) -> Cost:
        """Of deriving one architecture."""
        total, episodes = self.cost, len(self.found)
        flops, seconds = round(total.flops / episodes), total.seconds / episodes
        return Cost(steps=total.steps // episodes, images=total.images // episodes, flops=flops, seconds=seconds)

    def derive(self, learner: Learner, parameters: Parameters, episode: Episode, number: int) -> Parameters:
        """The meta-parameters with the logits that an episode adapts them to.

        Args:
            learner: supernet, head and the relaxation to adapt under.
            parameters: the meta-parameters.
            episode: only its support set is read.
            number: place of the episode in its series.
        """
        begin = time.perf_counter()
        learner, inner_loop = replace(learner, statistics=None), self.inner_loop
        steps, generator = inner_loop.steps, task_generator(self.seed, -2, number)
        noise = learner.draw_noise(parameters.logits, episode, generator, steps=steps)
        adaptation = Adaptation(learner, episode, noise)
        with torch.no_grad():
            adapted = inner_loop.adapt(parameters, adaptation)
        self.cost += Cost(
            steps=steps,
            images=sum(inner_loop.support_images(episode, step) for step in range(steps)),
            flops=inner_loop.flops(parameters, adaptation),
            seconds=time.perf_counter() - begin,
        )
        self.found.append(self.space.derive(adapted.logits))
        return parameters._replace(logits=adapted.logits)
