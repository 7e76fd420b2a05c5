"""The bilevel optimisation of architecture logits and weights over episodes."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta import (
    Head,
    InnerLoop,
    MetaGradient,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLoss,
)
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.meta.learner import BatchNorm, TaskNoise, task_generator
from lit_metanas.relaxations import Relaxation, Softmax
from lit_metanas.spaces import SearchSpace
from lit_metanas.tasks.task import Episode
from lit_metanas.training.architecture_logits import ArchitectureSchedule, fixed_labels
from lit_metanas.training.meta_search.episode_evaluation import AdaptedLogits
from lit_metanas.training.meta_search.meta_learned import MetaLearned
from lit_metanas.training.outer_training import outer_mean

LOG_INTERVAL = 0.5
"""Seconds after which a step's loss is logged though no logger asks for it, so that progress bars have a recent one."""


def default_weight_optimizer(parameters: Any) -> Optimizer:
    """Adam at 1e-2; fused, which takes a quarter of the time for the few small weights of a network on a CPU."""
    return torch.optim.Adam(parameters, lr=1e-2, fused=True)


def _logit_optimizer(parameters: Any) -> Optimizer:
    return torch.optim.Adam(parameters, lr=5e-2, betas=(0.5, 0.999))


class MetaSearch(MetaLearned):
    """Meta-trains a supernet and its architecture logits; with one candidate a choice, a plain network.

    Every training step takes a batch of episodes, asks the meta-gradient for the outer gradient, averages it over all
    processes and steps both optimizers. It is a function of (seed, step, position of the task), whatever the number
    of processes.

    Args:
        space: the search space.
        shape: channels, height and width of an input; None takes those of the Trainer's data module.
        meta_gradient: how the outer update is derived; by default the prototype loss.
        relaxation: logits to mixture in training; by default the softmax.
        inner_loop: adaptation to an episode.
        head: features to scores.
        batch_norm: where an evaluated query set's batch-norm statistics come from: its own batch
            (``transductive``), the support set, or the last training tasks (``running``).
        weight_optimizer: steps weights and head.
        logit_optimizer: steps the logits.
        anneal: whether both learning rates fall to zero as a half cosine.
        schedule: warm-up, pruning and prior of the logits.
        flops: training budget, 3 x forward multiply-adds x images; None trains for the Trainer's steps.
        architecture: labels to fix: a mapping, or the path of an ``architectures.json`` whose best entry is taken.
        start: checkpoint to take weights, head and logits from, for instance of the search that found
            ``architecture``.
        task_architectures: takes an architecture for each evaluated episode, by its support set; None has all use that
            of the meta-trained logits.
        query_dropout: whether dropout is on for the query set in training. Off, adapted networks are judged as they
            will be used; on, a search sees the harm of dropout only. Without an inner loop it must be on.
        gradient_clip: largest norm of the outer gradient of the weights; None does not clip.
        skipped: how many tasks without a finite loss and gradient the whole training may leave out; one more stops it.
        seed: of everything that is drawn in training and evaluation, except initial weights and episodes.

    Raises:
        ValueError: arguments do not go together, or a file is not what it should be.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> data = lm.EpisodeDataModule(source, way=2, steps_per_epoch=2)
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(shared=True, widths=(8,)))
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> trainer = lm.Trainer(max_epochs=1, limit_val_batches=0, **quiet)
        >>> trainer.fit(model, data)
        >>> sorted(model.architecture())
        ['activation', 'depth', 'dropout', 'kernel', 'norm', 'pool', 'skip', 'width']
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        shape: Shape | None = None,
        meta_gradient: MetaGradient | None = None,
        relaxation: Relaxation | None = None,
        inner_loop: InnerLoop | None = None,
        head: Head | None = None,
        batch_norm: BatchNorm = "running",
        weight_optimizer: OptimizerCallable = default_weight_optimizer,
        logit_optimizer: OptimizerCallable = _logit_optimizer,
        anneal: bool = True,
        schedule: ArchitectureSchedule | None = None,
        flops: float | None = None,
        architecture: dict[str, str] | str | None = None,
        start: str | None = None,
        task_architectures: AdaptedLogits | None = None,
        query_dropout: bool = True,
        gradient_clip: float | None = None,
        skipped: int = 20,
        seed: int = 0,
    ) -> None:
        schedule = schedule or ArchitectureSchedule()
        if fixed := fixed_labels(architecture, space):
            space = space.restricted(fixed)
        relaxation, head = relaxation or Softmax(), head or PrototypeHead()
        super().__init__(
            space=space,
            shape=shape,
            relaxation=relaxation,
            inner_loop=inner_loop or NoInnerLoop(),
            head=head,
            batch_norm=batch_norm,
            prior=schedule.prior,
            prior_strength=schedule.prior_strength,
            start=start,
            task_architectures=task_architectures,
            flops=flops,
            skipped=skipped,
            seed=seed,
        )
        if gradient_clip is not None and not gradient_clip > 0:
            raise ValueError(
                f"MetaSearch: gradient_clip is {gradient_clip}; give a positive number, or leave it out not to clip."
            )
        if not query_dropout and not self.inner_loop.steps:
            raise ValueError("MetaSearch: without an inner loop query_dropout must be on, or there is no dropout.")
        self.meta_gradient = meta_gradient or PrototypeLoss()
        self.meta_gradient.check(head, relaxation, self.inner_loop)
        self.weight_optimizer, self.logit_optimizer = weight_optimizer, logit_optimizer
        self.anneal = anneal
        self.schedule = schedule
        self.query_dropout = query_dropout
        self.gradient_clip = gradient_clip
        self._logged = 0.0

    def sampled_child(self) -> dict[str, Tensor]:
        """What the relaxation makes of the logits for the first task of the coming step, the same on all processes.

        Returns:
            For each choice the candidates' weights, shape ``(labels,)``: a one-hot vector where a child is drawn.
        """
        logits, relaxation = self.logits.tree(), self.learner.relaxation
        noise = relaxation.draw_noise(logits, task_generator(self.seed, int(self.outer_steps), 0))
        return {name: gate.weights.detach() for name, gate in relaxation(logits, noise, self.progress).items()}

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimizer for weights and head, one for logits."""
        return [
            self.weight_optimizer([*self.supernet.parameters(), *self.head.parameters()]),
            self.logit_optimizer([self.logits.values]),
        ]

    def training_step(self, batch: list[Episode], batch_idx: int) -> None:
        """One outer step: adapt to each task, average the meta-gradients of all processes, update, count the cost."""
        progress = self.progress
        parameters = self.meta_parameters()
        noises = [self._noise(parameters, episode, place) for place, episode in enumerate(batch)]
        gradients, metrics = self.meta_gradient(
            self.learner, self.inner_loop, parameters, batch, noises, progress=progress
        )
        tasks = [Adaptation(self.learner, *each, progress) for each in zip(batch, noises, strict=True)]
        flops = sum(self.meta_gradient.flops(self.inner_loop, parameters, task) for task in tasks)
        if self.flops is not None and not flops and not self.logits.open:
            raise ValueError(
                f"MetaSearch: the network has no multiply-adds, so a budget of {self.flops:g} FLOPs would never be "
                "spent: leave flops out and set the trainer's max_epochs, or take other operations than identity."
            )
        trainer = self.trainer
        mean = outer_mean(gradients, metrics, flops, trainer, signalled=self.signalled)
        self.any_signalled = mean.signalled
        if not bool(mean.finite.all()):
            fix = "lower the learning rates, clip the gradient, or allow more with 'skipped'"
            self.leave_out(mean.finite, partial(self._describe, batch, batch_idx), fix)
            self.log("train/skipped", float(self.account.skipped))
        if bool(mean.finite.any()):
            self._step(mean.gradients, progress)
        self.outer_steps += 1
        self.spent += mean.flops
        if bool(mean.finite.any()) and self._logs_step():
            self.log("train/loss", mean.metrics["losses"].mean(), prog_bar=True)
            self.log("train/accuracy", mean.metrics["accuracies"].mean(), prog_bar=True)
        self.account.step(trainer.world_size * sum(len(episode.support) + len(episode.query) for episode in batch))
        self.statistics.add(batch, trainer.world_size)
        trainer.should_stop |= self.is_finished

    def on_train_end(self) -> None:
        """Give the trained weights their batch-norm statistics."""
        self.refresh_statistics()

    def _noise(self, parameters: Parameters, episode: Episode, place: int) -> TaskNoise:
        """The noise of one task: a function of (seed, step, position of the task over all processes)."""
        task = place * self.trainer.world_size + self.trainer.global_rank
        generator = task_generator(self.seed, int(self.outer_steps), task)
        return self.learner.draw_noise(
            parameters.logits, episode, generator, steps=self.inner_loop.steps, query_dropout=self.query_dropout
        )

    def _logs_step(self) -> bool:
        """Whether a step's loss and accuracy are logged: where loggers take them, at the end, and twice a second."""
        # Lightning takes as long to log a number as a small network to embed ten images.
        trainer, now = self.trainer, time.monotonic()
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every > 0 and trainer.fit_loop.total_batch_idx % every == every - 1
        last = trainer.is_last_batch or trainer.should_stop or trainer.global_step == trainer.max_steps
        if due or last or self.is_finished or now - self._logged > LOG_INTERVAL:
            self._logged = now
            return True
        return False

    def _describe(self, batch: list[Episode], batch_idx: int, place: int) -> str:
        """How to draw an episode again that is not finite, as the begin of a sentence."""
        world = self.trainer.world_size
        episode, index = batch[place // world], batch_idx * world * len(batch) + place
        seed = getattr(getattr(self.trainer, "datamodule", None), "seed", self.seed)
        return (
            f"Episode '{episode.id}' (seed {seed}, epoch {self.trainer.current_epoch}, index {index}, classes "
            f"{', '.join(episode.classes)}) has no finite loss and gradient at step {int(self.outer_steps)}"
        )

    def _step(self, gradients: Parameters, progress: float) -> None:
        """Step weights and head and, after the warm-up, the logits; then prune."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        weights, logits = optimizers
        rate = 1.0
        if self.anneal:
            rate = 0.5 * (1 + math.cos(math.pi * progress))
        for name, parameter in self.supernet.named_parameters():
            parameter.grad = _laid_out_as(parameter, gradients.weights[name])
        for name, parameter in self.head.items():
            parameter.grad = _laid_out_as(parameter, gradients.head[name])
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_([*self.supernet.parameters(), *self.head.parameters()], self.gradient_clip)
        _step_optimizer(weights, rate)
        # Not through Lightning's optimizer, each of whose steps it counts: an outer step is one.
        if progress >= self.schedule.warm_up and self.logits.open:
            self.logits.values.grad = self.logits.flat(gradients.logits)
            _step_optimizer(logits.optimizer, rate)
            self.logits.prune(self.schedule.prune_below)


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the parameter's order in memory: fused optimizers read both by their place in memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _step_optimizer(optimizer: Any, rate: float) -> None:
    """Step at ``rate`` times the configured learning rate."""
    for group in optimizer.param_groups:
        # A checkpoint holds the optimizer's groups with `initial_lr`, so a resumed training knows the configured rate.
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
    optimizer.step()
