"""Scores of evaluated episodes, architectures of theirs, and tasks without a finite loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lit_metanas.meta import Adaptation, InnerLoop, Learner, Parameters, TaskNoise, draw, evaluate, task_generator
from lit_metanas.meta.cost import adaptation_flops
from lit_metanas.meta.differentiation import Metrics
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


Mean = Callable[[Sequence[Episode], Sequence[TaskNoise]], tuple[Parameters, Metrics]]


def mean_of_finite(
    mean: Mean, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics, Tensor]:
    """The mean over a process's tasks, to which the others add nothing.

    Args:
        mean: gives the mean gradient and the metrics of tasks.
        episodes: the tasks, at least one.
        noises: one for each.

    Returns:
        The gradient, a sum divided by the number of all tasks; the metrics of all tasks; and which of them are finite,
        shape ``(tasks,)``: only where some are not does each get a pass of its own.
    """
    gradients, metrics = mean(episodes, noises)
    if _finite(gradients, metrics):
        return gradients, metrics, torch.ones_like(metrics["losses"])
    parts = [mean([episode], [noise]) for episode, noise in zip(episodes, noises, strict=True)]
    finite = [_finite(*part) for part in parts]
    total = gradients.mapped(torch.zeros_like)
    for (own, _), good in zip(parts, finite, strict=True):
        total = total.mapped(torch.add, own) if good else total
    rows = [own for _, own in parts]
    joined = {k: torch.cat([row[k] for row in rows]) for k, value in metrics.items() if value.dim()}
    metrics = {**metrics, **joined}
    return total.mapped(lambda value: value / len(parts)), metrics, metrics["losses"].new_tensor(finite)


def rescaled(gradients: Parameters, metrics: Metrics, good: Tensor) -> tuple[Parameters, Metrics]:
    """The mean over the finite tasks, of which there is at least one, and their metrics.

    Args:
        gradients: sum over finite tasks, divided by the number of all.
        metrics: of all tasks.
        good: which are finite, shape ``(tasks,)``.
    """
    if bool(good.all()):
        return gradients, metrics
    scale = len(good) / int(good.sum())
    kept = {name: value[good] for name, value in metrics.items() if value.dim()}
    kept |= {"loss": kept["losses"].mean(), "accuracy": kept["accuracies"].mean()}
    return gradients.mapped(lambda value: value * scale), kept


def identity(episode: Episode, *, seed: int, epoch: int, index: int) -> str:
    """What draws an episode again, in words."""
    return f"Episode '{episode.id}' (seed {seed}, epoch {epoch}, index {index}, classes {', '.join(episode.classes)})"


def _finite(gradients: Parameters, metrics: Metrics) -> bool:
    values = torch.cat([value.reshape(-1) for value in (*gradients.flat().values(), metrics["losses"])])
    return bool(values.isfinite().all())


class TaskArchitectures:
    """Derives an architecture from the support set of each episode (Lian et al. 2020, T-NAS, Algorithm 2).

    Logits adapt in the inner loop, under the relaxation and with each batch's own batch-norm statistics; the largest
    ones are the task's architecture. What else moved beside them is given up: weights and head adapt anew, under the
    architecture alone.

    Args:
        space: the search space.
        learner: supernet, head and the relaxation to adapt under.
        inner_loop: adaptation that moves logits.
        seed: of what is drawn.

    Attributes:
        found: the architectures of the episodes since the last ``clear``.
        cost: of deriving them.
        statistics: batch-norm means and variances of each, where they were asked for.

    Raises:
        ValueError: the inner loop does not move logits.
    """

    def __init__(self, space: SearchSpace, learner: Learner, inner_loop: InnerLoop, seed: int) -> None:
        if not inner_loop.steps or "logits" not in inner_loop.groups:
            raise ValueError(
                f"adapt_architecture needs an inner loop that moves logits, not {type(inner_loop).__name__} with "
                f"{inner_loop.steps} steps: give JointInnerLoop or AlternatingInnerLoop."
            )
        self.space = space
        self.learner = replace(learner, statistics=None)
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

    def derive(self, parameters: Parameters, episode: Episode, number: int) -> Parameters:
        """The meta-parameters with the logits that an episode adapts them to.

        Args:
            parameters: the meta-parameters.
            episode: only its support set is read.
            number: place of the episode in its series.
        """
        begin = time.perf_counter()
        learner, inner_loop = self.learner, self.inner_loop
        steps, generator = inner_loop.steps, task_generator(self.seed, -2, number)
        noise = draw(learner.supernet, learner.relaxation, parameters.logits, episode, generator, steps=steps)
        adaptation = Adaptation(learner, episode, noise)
        with torch.no_grad():
            adapted = inner_loop.adapt(parameters, adaptation)
        self.cost += Cost(
            steps=steps,
            images=sum(inner_loop.support_images(episode, step) for step in range(steps)),
            flops=adaptation_flops(inner_loop, parameters, adaptation),
            seconds=time.perf_counter() - begin,
        )
        self.found.append(self.space.derive(adapted.logits))
        return parameters._replace(logits=adapted.logits)
