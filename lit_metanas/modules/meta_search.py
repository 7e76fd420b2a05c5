"""The bilevel optimisation of architecture logits and weights over episodes."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import CatMetric

from lit_metanas.episodes.task import Episode
from lit_metanas.meta import (
    Head,
    InnerLoop,
    Learner,
    MetaGradient,
    NoInnerLoop,
    PairedScore,
    Parameters,
    PrototypeHead,
    TaskNoise,
    evaluate,
    task_generator,
)
from lit_metanas.meta.cost import training_flops
from lit_metanas.meta.learner import BatchNorm
from lit_metanas.modules.architecture_logits import ArchitectureLogits
from lit_metanas.modules.architecture_schedule import ArchitectureSchedule
from lit_metanas.modules.meta_checkpoint import KEY, check, describe, read_meta_checkpoint
from lit_metanas.modules.statistics import embed_and_record
from lit_metanas.records.budget import Cost
from lit_metanas.records.files import read_architectures
from lit_metanas.records.interval import t_interval
from lit_metanas.records.result import Protocol
from lit_metanas.relaxations import Argmax, Categorical, Relaxation
from lit_metanas.spaces import Architecture, SearchSpace, Shape, inherit

RECENT = 16
"""Training tasks whose images give the running batch-norm statistics: those of the last steps, under today's weights
(Wu and Johnson 2021), which costs nothing in training."""

_UNIT = 1 << 20  # FLOPs travel between processes as two numbers that float32 holds exactly


def default_weight_optimizer(parameters: Any) -> Optimizer:
    """Adam at 1e-2."""
    return torch.optim.Adam(parameters, lr=1e-2)


def _logit_optimizer(parameters: Any) -> Optimizer:
    return torch.optim.Adam(parameters, lr=5e-2, betas=(0.5, 0.999))


class MetaSearch(LightningModule):
    """Meta-trains a supernet and its architecture logits; with one candidate a choice, a plain network.

    Every training step takes a batch of episodes, asks the meta-gradient for the outer gradient, averages it over all
    processes and steps both optimizers. It is a function of (seed, step, position of the task), whatever the number
    of processes.

    Args:
        space: the search space.
        shape: channels, height and width of an input.
        meta_gradient: how the outer update is derived; by default paired score-function estimates.
        relaxation: logits to mixture in training.
        inner_loop: adaptation to an episode.
        head: features to scores.
        batch_norm: where an evaluated query set's batch-norm statistics come from: its own batch
            (``transductive``), the support set, or training (``running``).
        weight_optimizer: steps weights, head and learned inner rates.
        logit_optimizer: steps the logits.
        anneal: whether both learning rates fall to zero as a half cosine.
        schedule: warm-up, tying, pruning and prior of the logits.
        flops: training budget, 3 x forward multiply-adds x images; None trains for the Trainer's steps.
        architecture: labels to fix: a mapping, or the path of an ``architectures.json`` whose best entry is taken.
        start: checkpoint to take weights and logits from, for instance of the search that found ``architecture``.
        gradient_clip: largest norm of the outer gradient of the weights; None does not clip.
        seed: of everything that is drawn in training and evaluation, except initial weights and episodes.

    Raises:
        ValueError: arguments do not go together, or a file is not what it should be.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        shape: Shape,
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
        gradient_clip: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        fixed = _labels(architecture, space)
        self.space = space.restricted(fixed) if fixed else space
        self.shape = shape
        self.meta_gradient = meta_gradient or PairedScore(normalise=True)
        self.inner_loop = inner_loop or NoInnerLoop()
        self.weight_optimizer, self.logit_optimizer = weight_optimizer, logit_optimizer
        self.anneal = anneal
        self.schedule = schedule or ArchitectureSchedule()
        self.flops = flops
        self.gradient_clip = gradient_clip
        self.seed = seed

        self.supernet = self.space.supernet(shape)
        self.supernet.to(memory_format=torch.channels_last)  # type: ignore
        self.logits = ArchitectureLogits(
            self.space.choices, prior=self.schedule.prior, strength=self.schedule.prior_strength
        )
        head = head or PrototypeHead()
        generator = torch.Generator().manual_seed(seed)
        self.head = _named(head.initial(self.supernet.features, generator))
        self.learner = Learner(self.supernet, relaxation or Categorical(), head, batch_norm)
        self.meta_gradient.check(self.learner, self.inner_loop)
        self.register_buffer("outer_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("spent", torch.zeros((), dtype=torch.int64))
        self.outer_steps: Tensor
        self.spent: Tensor

        self.earlier = Cost()
        self.images, self.seconds = 0, 0.0
        self.statistics: dict[str, Tensor] = {}
        self._recent: deque[Tensor] = deque(maxlen=RECENT)
        self._evaluated = CatMetric()
        self._relaxed = CatMetric()
        self.test_values: list[float] = []
        self._protocol: Protocol | None = None
        if start is not None:
            self._start_from(start)

    # The search as others see it

    @property
    def progress(self) -> float:
        """Spent share of the whole training, from 0 to 1."""
        if self.flops is not None:
            return min(1.0, int(self.spent) / self.flops)
        steps = float(self.trainer.estimated_stepping_batches)
        return min(1.0, int(self.outer_steps) / steps)

    def probabilities(self) -> dict[str, Tensor]:
        """For each choice the candidates' probabilities, shape ``(labels,)``, detached."""
        return self.logits.probabilities()

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive(self.logits.tree())

    def meta_parameters(self) -> Parameters:
        """Weights, logits and head as one detached tree."""
        weights = {name: value.detach() for name, value in self.supernet.named_parameters()}
        return Parameters(weights, self.logits.tree(), {k: v.detach() for k, v in self.head.items()})

    def cost(self) -> Cost:
        """What meta-training has cost so far, with the runs that it started from."""
        mine = Cost(
            steps=int(self.outer_steps), images=self.images, flops=int(self.spent), seconds=round(self.seconds, 3)
        )
        return self.earlier + mine

    def inheritance(self) -> dict[str, Tensor]:
        """Weights and batch-norm statistics that a child of the derived architecture inherits."""
        return {**self.meta_parameters().weights, **self.statistics}

    def result_fields(self) -> dict[str, Any]:
        """The fields of a result that are known here, after a test."""
        assert self._protocol is not None
        network = self.space.cost(self.architecture(), self.shape, self._protocol.way)
        return {
            "seed": self.seed,
            "protocol": self._protocol,
            "meta_cost": self.cost(),
            "parameters": network.parameters,
            "flops": network.flops,
        }

    # Training

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimizer for weights and head, one for logits."""
        return [
            self.weight_optimizer([*self.supernet.parameters(), *self.head.parameters()]),
            self.logit_optimizer([self.logits.values]),
        ]

    def on_fit_start(self) -> None:
        """Ask for an end of training.

        Raises:
            ValueError: neither the module nor the trainer has one.
        """
        if self.flops is None and math.isinf(float(self.trainer.estimated_stepping_batches)):
            raise ValueError("Training has no end: set the model's flops, or the trainer's max_epochs or max_steps.")

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def training_step(self, batch: list[Episode], batch_idx: int) -> None:
        """One outer step."""
        progress = self.progress
        parameters = self.meta_parameters()
        tied = progress < self.schedule.tied_until
        noises = [self._noise(parameters, episode, place, tied) for place, episode in enumerate(batch)]
        gradients, metrics = self.meta_gradient(self.learner, self.inner_loop, parameters, batch, noises, progress)
        self._check_finite(metrics["losses"], batch)
        flops = sum(
            training_flops(self.learner, self.inner_loop, self.meta_gradient, parameters, episode, noise, progress)
            for episode, noise in zip(batch, noises, strict=True)
        )
        gradients, loss, accuracy, total = self._reduced(gradients, metrics, flops)
        if tied:
            gradients = gradients._replace(logits=self.logits.tied(gradients.logits))
        self._step(gradients, progress)
        self._account(batch, total)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", accuracy, prog_bar=True)

    def _noise(self, parameters: Parameters, episode: Episode, place: int, tied: bool) -> TaskNoise:
        task = place * self.trainer.world_size + self.trainer.global_rank
        generator = task_generator(self.seed, int(self.outer_steps), task)
        noise = self.meta_gradient.draw(self.learner, self.inner_loop, parameters, episode, generator)
        return noise._replace(relaxation=self.logits.tied_noise(noise.relaxation)) if tied else noise

    def _check_finite(self, losses: Tensor, batch: list[Episode]) -> None:
        for loss, episode in zip(losses, batch, strict=True):
            if not torch.isfinite(loss):
                raise ValueError(
                    f"The loss of episode {episode.id} is {float(loss)} at step {int(self.outer_steps)}: "
                    "lower the learning rates or clip the gradient."
                )

    def _reduced(
        self, gradients: Parameters, metrics: Mapping[str, Tensor], flops: int
    ) -> tuple[Parameters, Tensor, Tensor, int]:
        """Means over all processes of gradients, loss and accuracy, and the sum of FLOPs, in one message."""
        world = self.trainer.world_size
        tensors = gradients.flat()
        loss = metrics["loss"].reshape(1)
        parts = [*(value.reshape(-1) for value in tensors.values()), loss, metrics["accuracy"].reshape(1).to(loss)]
        parts.append(torch.tensor([flops // _UNIT, flops % _UNIT], dtype=loss.dtype, device=loss.device))
        message = self.trainer.strategy.reduce(torch.cat(parts), reduce_op="sum")
        assert isinstance(message, Tensor)
        *pieces, total_loss, total_accuracy, high, low = message.split([p.numel() for p in parts[:-1]] + [1, 1])
        means = {
            name: (piece / world).view_as(value) for (name, value), piece in zip(tensors.items(), pieces, strict=True)
        }
        total = int(high) * _UNIT + int(low)
        return gradients.updated(means), total_loss / world, total_accuracy / world, total

    def _step(self, gradients: Parameters, progress: float) -> None:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        weights, logits = optimizers
        rate = 0.5 * (1 + math.cos(math.pi * progress)) if self.anneal else 1.0
        for name, parameter in self.supernet.named_parameters():
            parameter.grad = gradients.weights[name]
        for name, parameter in self.head.items():
            parameter.grad = gradients.head[name]
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_([*self.supernet.parameters(), *self.head.parameters()], self.gradient_clip)
        _stepped(weights, rate)
        # Lightning counts an outer step once; the logits are stepped beside its back.
        if progress >= self.schedule.warm_up and self.logits.open:
            self.logits.values.grad = self.logits.flat(gradients.logits)
            _stepped(logits.optimizer, rate)
            self.logits.prune(self.schedule.prune_below)

    def _account(self, batch: list[Episode], flops: int) -> None:
        self.outer_steps += 1
        self.spent += flops
        self.images += self.trainer.world_size * sum(len(e.support) + len(e.query) for e in batch)
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self._recent.extend(torch.cat([e.support.inputs, e.query.inputs]) for e in batch)
        if self.flops is not None and int(self.spent) >= self.flops:
            self.trainer.should_stop = True

    # Evaluation

    def on_validation_epoch_start(self) -> None:
        """Take the batch-norm statistics of the derived architecture from the last training tasks."""
        self._start_evaluation()

    def validation_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture, and in a search the relaxed one beside it."""
        self._evaluate(batch, Argmax(), self._evaluated)
        if self.logits.open:
            self._evaluate(batch, self.learner.relaxation, self._relaxed)

    def on_validation_epoch_end(self) -> None:
        """Log mean accuracies over all episodes of all processes."""
        for key, metric in (("val/accuracy", self._evaluated), ("val/accuracy_relaxed", self._relaxed)):
            if metric.value:
                values = _ordered(metric)
                self.log(key, sum(values) / len(values), prog_bar=key == "val/accuracy", rank_zero_only=False)

    def on_test_epoch_start(self) -> None:
        """Forget earlier scores."""
        self._start_evaluation()

    def test_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture."""
        first = batch[0]
        self._protocol = Protocol("episodes", first.way, first.shot, self.learner.batch_norm)
        self._evaluate(batch, Argmax(), self._evaluated)

    def on_test_epoch_end(self) -> None:
        """Log the mean accuracy and the half width of its 95 % confidence interval over episodes."""
        self.test_values = _ordered(self._evaluated)
        interval = t_interval(self.test_values)
        self.log("test/accuracy", interval.mean)
        self.log("test/ci95", interval.half)

    def _start_evaluation(self) -> None:
        self._evaluated.reset()
        self._relaxed.reset()
        if self._recent:
            with torch.inference_mode(False):
                self.statistics = self._running_statistics()
        if self.learner.batch_norm == "running" and not self.statistics and not self.trainer.sanity_checking:
            raise ValueError("batch_norm 'running' needs statistics from training: give --ckpt_path, or train first.")

    def _running_statistics(self) -> dict[str, Tensor]:
        mixture = Argmax()(self.logits.tree(), {}, 1.0)
        inputs = torch.cat(list(self._recent)).contiguous(memory_format=torch.channels_last)
        _, statistics = embed_and_record(self.supernet, self.meta_parameters().weights, mixture, inputs)
        if not statistics:
            return {}
        flat = torch.cat(list(statistics.values()))
        mean = self.trainer.strategy.reduce(flat, reduce_op="mean")
        assert isinstance(mean, Tensor)
        pieces = mean.split([value.numel() for value in statistics.values()])
        return dict(zip(statistics, pieces, strict=True))

    def _evaluate(self, batch: list[Episode], relaxation: Relaxation, metric: CatMetric) -> None:
        running = (
            self.statistics or None if self.learner.batch_norm == "running" and isinstance(relaxation, Argmax) else None
        )
        learner = replace(self.learner, relaxation=relaxation, statistics=running)
        world, rank = self.trainer.world_size, self.trainer.global_rank
        for episode in batch:
            place = sum(len(value) for value in metric.value) // 2 * world + rank
            # Trainers evaluate in inference mode by default, under which nothing can adapt.
            with torch.inference_mode(False), torch.enable_grad():
                kept = episode.to(self.device) if not episode.support.inputs.is_inference() else _clone(episode)
                generator = task_generator(self.seed, -1, place)
                scores, _ = evaluate(learner, self.inner_loop, self.meta_parameters(), kept, generator)
            right = (scores.argmax(1) == kept.query.labels).double().mean()
            metric.update(torch.stack([torch.tensor(float(place), dtype=torch.float64), right.cpu()]))

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what describes the search, as plain values and tensors."""
        checkpoint[KEY] = describe(self.space, self.shape, self.logits.tree(), self.statistics, self.cost())
        checkpoint[KEY]["own"] = {"images": self.images, "seconds": self.seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse foreign checkpoints, and restore statistics and account.

        Raises:
            ValueError: the checkpoint is not of this model.
        """
        entry = checkpoint.get(KEY)
        check(entry, self.space, self.shape)
        assert entry is not None
        self.statistics = {name: value.to(self.device) for name, value in entry["statistics"].items()}
        self.images, self.seconds = entry["own"]["images"], entry["own"]["seconds"]
        total = Cost(**entry["cost"])
        self.earlier = Cost(
            steps=total.steps - int(checkpoint["state_dict"]["outer_steps"]),
            images=total.images - self.images,
            flops=total.flops - int(checkpoint["state_dict"]["spent"]),
            seconds=round(total.seconds - self.seconds, 3),
        )

    def _start_from(self, path: str) -> None:
        found = read_meta_checkpoint(path)
        check({"schema": 1, "labels": found.labels, "shape": found.shape}, self.space, self.shape)
        self.supernet.load_state_dict(inherit(found.weights, self.supernet.state_dict()))
        self.logits.inherit(found.labels, found.logits)
        self.statistics = found.statistics
        self.earlier = found.cost


def _labels(architecture: dict[str, str] | str | None, space: SearchSpace) -> dict[str, str]:
    """The labels to fix; of a file's entries, those of the best one of this space."""
    if not isinstance(architecture, str):
        return architecture or {}
    entries = [entry for entry in read_architectures(architecture) if entry.space == space.name]
    if not entries:
        raise ValueError(f"'{architecture}' holds no architecture of {space.name}: give the file of a search in it.")
    return max(entries, key=lambda entry: -math.inf if math.isnan(entry.value) else entry.value).architecture.to_json()


def _named(tensors: Mapping[str, Tensor]) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(value) for name, value in tensors.items()})


def _stepped(optimizer: Any, rate: float) -> None:
    """Step at ``rate`` times the configured learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
    optimizer.step()


def _clone(episode: Episode) -> Episode:
    """A copy that gradients may flow through."""
    return replace(
        episode,
        train=replace(episode.train, inputs=episode.train.inputs.clone(), labels=episode.train.labels.clone()),
        test=replace(episode.test, inputs=episode.test.inputs.clone(), labels=episode.test.labels.clone()),
    )


def _ordered(metric: CatMetric) -> list[float]:
    """The values of all processes in the episodes' order."""
    pairs = torch.as_tensor(metric.compute()).reshape(-1, 2)
    return [float(value) for _, value in sorted(pairs.tolist())]
