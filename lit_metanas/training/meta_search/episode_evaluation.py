"""Evaluation of a learner on episodes: accuracies, and architectures that episodes derive."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_metanas.meta import Adaptation, InnerLoop, Learner, Parameters, evaluate, task_generator
from lit_metanas.records.budget import Cost
from lit_metanas.records.rows import Protocol
from lit_metanas.records.statistics import t_interval
from lit_metanas.relaxations import Derived, Relaxation
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.inputs import Shape
from lit_metanas.tasks.task import Episode
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.collectives import gather_rows
from lit_metanas.training.meta_search.training_state import RunningStatistics


class EpisodeScores:
    """One score an episode, brought into the episodes' order over all processes.

    Args:
        seed: of what is drawn in evaluation.

    Attributes:
        mine: this process's scores; episode ``i`` of process ``rank`` is number ``i * world_size + rank``.
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
        """Adapt to each of this process's next episodes, outside of inference mode, and add its score."""
        # Dropout is a part of adaptation, but not of a mere look at the support set.
        dropout = inner_loop.steps > 0
        for episode in map(Episode.trainable, episodes):
            generator = task_generator(self.seed, -1, self.number(trainer))
            scores, _ = evaluate(learner, inner_loop, parameters, episode, generator, support_dropout=dropout)
            right = int((scores.argmax(1) == episode.query.labels).sum())
            self.mine.append(right / len(episode.query))

    def gather(self, trainer: Trainer) -> list[float]:
        """The scores of all processes, which have judged as many episodes each, in the episodes' order."""
        if trainer.world_size == 1:
            return list(self.mine)  # double precision, which not every accelerator has
        mine = torch.tensor(self.mine, dtype=torch.float64, device=trainer.strategy.root_device)
        values: list[float] = gather_rows(mine, trainer).tolist()
        return values


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


class EpisodeEvaluation(LightningModule):
    """Validates and tests a learner on episodes; a subclass says with which parameters.

    Both judge the architecture that would be derived; a search's validation judges the relaxed one beside it.

    Args:
        space: the search space.
        inner_loop: adaptation to an episode.
        adapt_architecture: whether an evaluated episode derives an architecture of its own.
        seed: of what is drawn.

    Attributes:
        learner: supernet, relaxation and head, made by the subclass.
        logits: the architecture logits, made by the subclass.
        statistics: batch-norm statistics of the derived architecture, made by the subclass.
        test_values: one accuracy a test episode, of all processes, in the episodes' order.
    """

    learner: Learner
    logits: ArchitectureLogits
    statistics: RunningStatistics
    shape: Shape

    def __init__(self, *, space: SearchSpace, inner_loop: InnerLoop, adapt_architecture: bool, seed: int) -> None:
        super().__init__()
        self.space = space
        self.inner_loop = inner_loop
        self.seed = seed
        self.task_architectures = TaskArchitectures(space, inner_loop, seed) if adapt_architecture else None
        self.test_values: list[float] = []
        self._derived, self._one_hot, self._relaxed = (EpisodeScores(seed) for _ in range(3))
        self._images = torch.empty(0)
        self._protocol: Protocol | None = None

    @abstractmethod
    def meta_parameters(self) -> Parameters:
        """Weights, logits and head as one detached tree."""

    @abstractmethod
    def refresh_statistics(self) -> None:
        """Bring ``statistics`` up to the parameters."""

    @abstractmethod
    def cost(self) -> Cost:
        """What the parameters have cost."""

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive(self.logits.tree())

    def result_fields(self) -> dict[str, Any]:
        """The fields of a result that are known here, after a test."""
        assert self._protocol is not None
        fields = {"seed": self.seed, "protocol": self._protocol, "meta_cost": self.cost()}
        own = self.task_architectures
        used = own.found if own else [self.architecture()]
        costs = [self.space.cost(architecture, self.shape, self._protocol.way) for architecture in used]
        size = {
            "parameters": round(fmean(cost.parameters for cost in costs)),
            "flops": round(fmean(cost.flops for cost in costs)),
        }
        return {**fields, **size, **({"architecture": None, "cost": own.mean_cost} if own else {})}

    def on_validation_epoch_start(self) -> None:
        """Take the batch-norm statistics of the derived architecture from the last training tasks."""
        self._start_evaluation()

    def validation_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture; in a search also the relaxed and the one-hot supernet, to see their gap."""
        self._evaluate_derived(batch)
        if self.logits.open:
            # There are running statistics of the derived architecture only: for the gap each takes its batches' own.
            self._evaluate(batch, self.learner.relaxation, self._relaxed, None)
            self._evaluate(batch, Derived(self.space), self._one_hot, None)

    def on_validation_epoch_end(self) -> None:
        """Log mean accuracies over all episodes of all processes, and the 95 % interval of the derived network's."""
        logged = {"": self._derived, "_relaxed": self._relaxed, "_one_hot": self._one_hot}
        for suffix, scores in logged.items():
            key = f"val/accuracy{suffix}"
            if scores.mine:
                values = scores.gather(self.trainer)
                self.log(key, sum(values) / len(values), prog_bar=key == "val/accuracy", sync_dist=True)
                if not suffix:
                    self.log("val/ci95", t_interval(values).half, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Forget earlier scores."""
        self._start_evaluation()

    def test_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture."""
        first = batch[0]
        self._protocol = Protocol("episodes", first.way, first.shot, self.learner.batch_norm)
        self._evaluate_derived(batch)

    def on_test_epoch_end(self) -> None:
        """Log the mean accuracy and the half width of its 95 % confidence interval over episodes."""
        self.test_values = self._derived.gather(self.trainer)
        interval = t_interval(self.test_values)
        self.log("test/accuracy", interval.mean, sync_dist=True)
        self.log("test/ci95", interval.half, sync_dist=True)

    def _start_evaluation(self) -> None:
        for scores in (self._derived, self._relaxed, self._one_hot):
            scores.mine.clear()
        if self.task_architectures is not None:
            self.task_architectures.clear()
            self._images = self.statistics.images(self.trainer, next(self.learner.supernet.parameters()))
        self.refresh_statistics()
        needed = self.learner.batch_norm == "running" and not self.trainer.sanity_checking
        blank = self.task_architectures is not None and not len(self._images)
        if needed and (blank or self.statistics.lacking(self.meta_parameters())):
            raise ValueError("batch_norm 'running' needs statistics from training: give --ckpt_path, or train first.")

    def _evaluate(
        self,
        batch: list[Episode],
        relaxation: Relaxation,
        scores: EpisodeScores,
        statistics: dict[str, Tensor] | None,
    ) -> None:
        learner = replace(self.learner, relaxation=relaxation, statistics=statistics)
        # Trainers evaluate in inference mode by default, under which nothing can adapt.
        with torch.inference_mode(False), torch.enable_grad():
            scores.judge(learner, self.inner_loop, self.meta_parameters(), batch, self.trainer)

    def _evaluate_derived(self, batch: list[Episode]) -> None:
        architectures = self.task_architectures
        if architectures is None:
            self._evaluate(batch, Derived(self.space), self._derived, self.statistics.values)
            return
        with torch.inference_mode(False), torch.enable_grad():
            for episode in map(Episode.trainable, batch):
                number = self._derived.number(self.trainer)
                parameters = architectures.derive(self.learner, self.meta_parameters(), episode, number)
                statistics = architectures.statistics
                if (own := architectures.found[-1]) not in statistics:
                    statistics[own] = self.statistics.under(parameters, self._images)
                learner = replace(self.learner, relaxation=Derived(self.space), statistics=statistics[own])
                self._derived.judge(learner, self.inner_loop, parameters, [episode], self.trainer)
