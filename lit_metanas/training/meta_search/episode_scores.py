"""Scores of evaluated episodes, over all processes."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import Trainer

from lit_metanas.meta import InnerLoop, Learner, Parameters, evaluate, task_generator
from lit_metanas.meta.learner import EVALUATION
from lit_metanas.tasks.task import Episode
from lit_metanas.training.collectives import gather_lists


class EpisodeScores:
    """One score an episode, brought into the episodes' order over all processes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.mine: list[float] = []  # episode `i` of process `rank` is number `i * world_size + rank`

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
        progress: float = 1.0,
    ) -> None:
        """Adapt to each of this process's next episodes, outside of inference mode, and add its score."""
        # Dropout is a part of adaptation, but not of a mere look at the support set.
        dropout = inner_loop.steps > 0
        for episode in map(Episode.trainable, episodes):
            generator = task_generator(self.seed, EVALUATION, self.number(trainer))
            scores, _ = evaluate(
                learner, inner_loop, parameters, episode, generator, support_dropout=dropout, progress=progress
            )
            right = int((scores.argmax(1) == episode.query.labels).sum())
            self.mine.append(right / len(episode.query))

    def gather(self, trainer: Trainer) -> list[float]:
        """The scores of all processes, of which some may have judged an episode fewer, in the episodes' order."""
        world, rank = trainer.world_size, trainer.global_rank
        numbered = [(place * world + rank, score) for place, score in enumerate(self.mine)]
        return [score for _, score in sorted(gather_lists(numbered))]
