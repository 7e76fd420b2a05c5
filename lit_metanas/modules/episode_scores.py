"""Accuracies of evaluated episodes."""

from __future__ import annotations

from dataclasses import replace

import torch
from lightning.pytorch import Trainer

from lit_metanas.episodes.task import Episode, Split
from lit_metanas.meta import InnerLoop, Learner, Parameters, evaluate, task_generator
from lit_metanas.modules.interleaved import interleaved


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
        self, learner: Learner, inner_loop: InnerLoop, parameters: Parameters, episode: Episode, trainer: Trainer
    ) -> None:
        """Adapt to this process's next episode and add its accuracy."""
        generator = task_generator(self.seed, -1, self.number(trainer))
        # Dropout is a part of adaptation, but not of a mere look at the support set.
        dropout = inner_loop.steps > 0
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
