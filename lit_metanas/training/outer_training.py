"""The outer loop of a meta-training: budget, end, account, tasks that it leaves out, and what processes exchange."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from torch import Tensor, distributed

from lit_metanas.io.text import short_number
from lit_metanas.meta.differentiation import Metrics
from lit_metanas.meta.learner import Parameters
from lit_metanas.records.plain import from_plain
from lit_metanas.records.record import Cost, FailedWorkError

_SHIFTS = (0, 16, 32, 48)
"""FLOPs travel as numbers of 16 bits, whose sums over up to 256 processes float32 holds exactly."""


@dataclass
class Account:
    """Images and seconds of a training, and what the trainings before it cost."""

    images: int = 0
    seconds: float = 0.0
    skipped: int = 0  # tasks
    earlier: Cost = field(default_factory=Cost)

    def begin(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def step(self, images: int) -> None:
        """Add one step's images, with repetition, over all processes; and the time since the last step."""
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self.images += images

    @classmethod
    def kept(cls, state: Mapping[str, Any]) -> Account:
        """The account of a checkpoint, which holds its fields; ValueError for something else."""
        return from_plain(cls, {each.name: state[each.name] for each in fields(cls)}, "its account")


class OuterTraining(LightningModule):
    """A module that is built for its data, and trained until a budget of FLOPs is spent or the Trainer ends it."""

    outer_steps: Tensor
    spent: Tensor  # FLOPs

    def __init__(self, *, flops: float | None, skipped: int, seed: int) -> None:
        super().__init__()
        name = type(self).__name__
        if not 0 <= seed < 2**63:
            raise ValueError(f"{name}: seed is {short_number(seed)}; give a number from 0, below 2**63.")
        if flops is not None and not flops > 0:
            raise ValueError(f"{name}: flops is {flops}; give a positive number, or leave it out to train for epochs.")
        if skipped < 0:
            raise ValueError(
                f"{name}: skipped is {short_number(skipped)}; give the number of tasks that may be left out, or 0."
            )
        self.flops, self.skipped, self.seed = flops, skipped, seed
        self.automatic_optimization = False
        self.register_buffer("outer_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("spent", torch.zeros((), dtype=torch.int64))
        self.account = Account()
        self.signalled = self.any_signalled = False

    @property
    def built(self) -> bool:
        """Whether the weights are there."""
        return self.supernet is not None

    @property
    def progress(self) -> float:
        """Spent share of the whole training, from 0 to 1."""
        if self.flops is not None:
            return min(1.0, int(self.spent) / self.flops)
        if self.trainer.train_dataloader is None:
            return 0.0  # to ask for the number of steps would make the loader, before a resumed run gives it its state
        return min(1.0, int(self.outer_steps) / float(self.trainer.estimated_stepping_batches))

    @property
    def ends_by_itself(self) -> bool:
        """Whether a budget of FLOPs ends the training."""
        return self.flops is not None

    @property
    def is_finished(self) -> bool:
        """Whether the budget is spent."""
        return self.flops is not None and int(self.spent) >= self.flops

    def cost(self) -> Cost:
        """What meta-training has cost so far, with the runs that it started from."""
        return self.account.earlier + Cost(
            steps=int(self.outer_steps),
            images=self.account.images,
            flops=int(self.spent),
            seconds=round(self.account.seconds, 3),
        )

    def setup(self, stage: str) -> None:
        """Raise ValueError for callbacks that average weights: they copy the module before it is built."""
        # StochasticWeightAveraging itself refuses several optimizers, but later, and in other words.
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        for callback in callbacks:
            if stage == "fit" and isinstance(callback, WeightAveraging | StochasticWeightAveraging):
                raise ValueError(
                    f"{type(callback).__name__} does not work with {type(self).__name__}, whose networks are built for "
                    "their data and whose counts of steps and FLOPs cannot be averaged: leave the callback out."
                )

    def on_train_start(self) -> None:
        """Start the clock; a run that has spent its budget ends here."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError(
                f"Precision 16-mixed scales losses, {type(self).__name__} does not: use bf16-mixed or 32-true."
            )
        self.account.begin()
        self.trainer.should_stop |= self.is_finished

    def leave_out(self, finite: Tensor, describe: Callable[[int], str], fix: str) -> None:
        """Count the tasks of all processes that are not finite, and stop all processes together past the limit."""
        # `describe` gives the begin of a sentence on the task in a place of this process's batch.
        world, limit = self.trainer.world_size, self.skipped
        for place in (~finite).nonzero().flatten().tolist():
            said, owner = "", place % world
            if owner == self.trainer.global_rank:
                said = describe(place)
            self.account.skipped += 1
            if self.account.skipped > limit:
                said = self.trainer.strategy.broadcast(said, owner)
                raise FailedWorkError(f"{said}, and {limit} were left out before it: {fix}.")
            if said:
                warnings.warn(f"{said}: it is left out ({self.account.skipped} of at most {limit}).", stacklevel=3)


def validate_anew(checkpoint: dict[str, Any]) -> None:
    """Mark a validation in whose middle a checkpoint was written as not begun."""
    # Lightning would go on in its middle or skip it, and the scores of the batches before are lost.
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.val_loop.batch_progress")
    if progress is None:
        return
    current = progress["current"]
    if current["completed"] < current["ready"] or (current["ready"] and not progress["is_last_batch"]):
        progress["current"] = dict.fromkeys(current, 0)
        # One begun batch: to Lightning a validation to finish.
        progress["total"] = {**dict.fromkeys(progress["total"], 0), "ready": 1, "started": 1}


class OuterMean(NamedTuple):
    """One outer step over the tasks of all processes."""

    gradients: Parameters  # the mean over the finite tasks; zeros where there is none
    metrics: Metrics  # of the finite tasks, in their order, as ``MetaGradient`` gives them
    finite: Tensor  # which of all tasks have a finite loss and gradient, shape ``(tasks,)``
    flops: int  # of all tasks
    signalled: bool  # whether any process had a signal


def outer_mean(
    gradients: Parameters, metrics: Metrics, flops: int, trainer: Trainer, *, signalled: bool = False
) -> OuterMean:
    """One outer step's gradient and metrics over all processes, which have as many tasks each; the same on all."""
    # `gradients` are the sum over this process's finite tasks, divided by the number of all of them.
    world, rank, losses = trainer.world_size, trainer.global_rank, metrics["losses"]
    # Half precision could not hold the FLOPs, nor the sum of many gradients.
    dtype = torch.promote_types(losses.dtype, torch.float32)
    rows: Metrics = {}
    for name, value in metrics.items():
        rows[name] = torch.zeros(len(value) * world, dtype=dtype, device=losses.device)
        rows[name][rank::world] = value
    if world > 1:
        tensors = gradients.flat()
        numbers = torch.tensor([*(flops >> shift & 0xFFFF for shift in _SHIFTS), signalled]).to(losses.device, dtype)
        parts = [*tensors.values(), *rows.values(), numbers]
        message = torch.cat([part.reshape(-1).to(dtype) for part in parts])
        distributed.all_reduce(message)  # a strategy's reduce would have all meet before, in a message of its own
        *pieces, sums = message.split([part.numel() for part in parts])
        pairs = zip(tensors.items(), pieces, strict=False)
        gradients = gradients.with_tensors({k: (piece / world).view_as(own).to(own) for (k, own), piece in pairs})
        rows = dict(zip(rows, pieces[len(tensors) :], strict=True))
        *flops_parts, signals = sums.tolist()
        flops = sum(int(part) << shift for part, shift in zip(flops_parts, _SHIFTS, strict=True))
        signalled = signals > 0
    finite = rows.pop("finite") > 0
    if not bool(finite.all()):
        scale = len(finite) / max(1, int(finite.sum()))
        gradients = gradients.map(lambda value: value * scale)
        rows = {name: value[finite] for name, value in rows.items()}
    return OuterMean(gradients, rows, finite, flops, signalled)


class EpisodeScores:
    """One score an episode, brought into the episodes' order over all processes."""

    def __init__(self) -> None:
        self.mine: list[float] = []  # episode `i` of process `rank` is number `i * world_size + rank`

    def number(self, trainer: Trainer) -> int:
        """The number of this process's next episode."""
        return len(self.mine) * trainer.world_size + trainer.global_rank

    def gather(self, trainer: Trainer) -> list[float]:
        """The scores of all processes, of which some may have judged an episode fewer, in the episodes' order."""
        world, rank = trainer.world_size, trainer.global_rank
        own = [(place * world + rank, score) for place, score in enumerate(self.mine)]
        numbered = [own] * world
        if world > 1:
            distributed.all_gather_object(numbered, own)
        return [score for _, score in sorted(chain(*numbered))]
