"""The outer loop of a meta-training: its budget, its end, its account, and tasks that it leaves out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from torch import Tensor

from lit_metanas.io.text import short_number
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.records.plain import from_plain


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

    def total(self, *, steps: int, flops: int) -> Cost:
        """Everything; steps and FLOPs are those of this training."""
        return self.earlier + Cost(steps=steps, images=self.images, flops=flops, seconds=round(self.seconds, 3))

    @classmethod
    def kept(cls, state: Mapping[str, Any]) -> Account:
        """The account of a checkpoint, which holds its fields; ValueError for something else."""
        return from_plain(cls, {each.name: state[each.name] for each in fields(cls)}, "its account")


class OuterTraining(LightningModule):
    """A module that is built for its data, and trained until a budget of FLOPs is spent or the Trainer ends it."""

    flops: float | None
    skipped: int  # how many tasks without a finite loss may be left out
    seed: int
    outer_steps: Tensor
    spent: Tensor  # FLOPs

    def count_from_zero(self) -> None:
        """Make the counters, which checkpoints hold."""
        self.register_buffer("outer_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("spent", torch.zeros((), dtype=torch.int64))
        self.account = Account()
        self.signalled = self.any_signalled = False

    def check_limits(self) -> None:
        """Raise ValueError if the budget, the number of tasks left out or the seed is out of its range."""
        name = type(self).__name__
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"{name}: seed is {short_number(self.seed)}; give a number from 0, below 2**63.")
        if self.flops is not None and not self.flops > 0:
            raise ValueError(
                f"{name}: flops is {self.flops}; give a positive number, or leave it out to train for epochs."
            )
        if self.skipped < 0:
            raise ValueError(
                f"{name}: skipped is {short_number(self.skipped)}; give the number of tasks that may be left out, or 0."
            )

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
        return self.account.total(steps=int(self.outer_steps), flops=int(self.spent))

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
