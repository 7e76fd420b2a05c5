"""Evaluation of a learner on episodes: accuracies, and architectures that episodes derive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta import InnerLoop, Learner, Parameters, evaluate, task_generator
from lit_metanas.meta.learner import EVALUATION
from lit_metanas.records.budget import Cost
from lit_metanas.records.rows import Protocol
from lit_metanas.records.statistics import t_interval
from lit_metanas.relaxations import Derived, Relaxation
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.task import Episode
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.collectives import gather_lists
from lit_metanas.training.meta_search.task_architectures import MetaTrained, TaskArchitectures
from lit_metanas.training.meta_search.training_state import RunningStatistics


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


class EpisodeEvaluation(LightningModule):
    """Validates and tests a learner on episodes; a subclass says with which parameters."""

    # Both judge the architecture that would be derived; a search's validation judges the relaxed one beside it.

    learner: Learner
    logits: ArchitectureLogits
    statistics: RunningStatistics
    shape: Shape

    def __init__(
        self, *, space: SearchSpace, inner_loop: InnerLoop, task_architectures: TaskArchitectures | None, seed: int
    ) -> None:
        super().__init__()
        self.space = space
        self.inner_loop = inner_loop
        self.seed = seed
        self.task_architectures = task_architectures
        if task_architectures is not None:
            task_architectures.check(inner_loop)
        self.test_values: list[float] = []  # one accuracy a test episode, of all processes, in the episodes' order
        self._derived, self._one_hot, self._relaxed = (EpisodeScores(seed) for _ in range(3))
        self._protocol: Protocol | None = None

    @abstractmethod
    def meta_parameters(self) -> Parameters:
        """Weights, logits and head as one detached tree."""

    @abstractmethod
    def refresh_statistics(self) -> None:
        """Bring ``statistics`` up to the parameters."""

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing | None:
        """What made the inputs of the meta-training; None for images, and where that is not known."""

    @abstractmethod
    def cost(self) -> Cost:
        """What the parameters have cost."""

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive(self.logits.tree())

    def result_fields(self) -> dict[str, Any]:
        """The fields of a result that are known here, after a test."""
        # What the meta-training of the model and that of other architectures share is counted twice.
        assert self._protocol is not None
        own, fields = self.task_architectures, dict[str, Any]()
        used, space, meta_cost = [self.architecture()], self.space, self.cost()
        if own is not None:
            used, space, meta_cost = own.found, own.space or self.space, meta_cost + own.meta_cost
            fields = {"architecture": None, "cost": own.mean_cost}
        costs = [space.cost(architecture, self.shape, self._protocol.way) for architecture in used]
        return {
            "seed": self.seed,
            "protocol": self._protocol,
            "meta_cost": meta_cost,
            "parameters": round(fmean(cost.parameters for cost in costs)),
            "flops": round(fmean(cost.flops for cost in costs)),
            **fields,
        }

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
            if values := scores.gather(self.trainer):
                self.log(key, sum(values) / len(values), prog_bar=key == "val/accuracy", sync_dist=True)
                if not suffix:
                    self.log("val/ci95", t_interval(values).half, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Forget earlier scores."""
        self._start_evaluation()

    def test_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture."""
        if batch:  # of the last one a process may have no episode
            self._protocol = Protocol("episodes", batch[0].way, batch[0].shot, self.learner.batch_norm)
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
        self.refresh_statistics()
        own, images = self.task_architectures, torch.empty(0)
        if own is not None:
            images = self.statistics.images(self.trainer, next(self.learner.supernet.parameters()))
        needed = self.learner.batch_norm == "running" and not self.trainer.sanity_checking
        blank = own is not None and not len(images)
        if needed and (blank or self.statistics.lacking(self.meta_parameters())):
            raise ValueError("batch_norm 'running' needs statistics from training: give --ckpt_path, or train first.")
        if own is not None:
            with torch.inference_mode(False):
                own.begin(self._meta_trained(images))

    def _meta_trained(self, images: Tensor) -> MetaTrained:
        return MetaTrained(
            space=self.space,
            shape=self.shape,
            learner=self.learner,
            inner_loop=self.inner_loop,
            parameters=self.meta_parameters(),
            statistics=self.statistics.values,
            images=images,
            seed=self.seed,
            preprocessing=self.preprocessing,
        )

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
            scores.judge(learner, self.inner_loop, self.meta_parameters(), batch, self.trainer, self._reached())

    def _reached(self) -> float:
        """Where in its schedule a relaxation is that is being trained; elsewhere at its end."""
        if self.trainer.state.fn != TrainerFn.FITTING:
            return 1.0
        return float(getattr(self, "progress", 1.0))

    def _evaluate_derived(self, batch: list[Episode]) -> None:
        architectures = self.task_architectures
        if architectures is None:
            self._evaluate(batch, Derived(self.space), self._derived, self.statistics.values)
            return
        with torch.inference_mode(False), torch.enable_grad():
            for episode in map(Episode.trainable, batch):
                chosen = architectures.take(episode, self._derived.number(self.trainer))
                self._derived.judge(chosen.learner, self.inner_loop, chosen.parameters, [episode], self.trainer)
