"""The progress bar of episodes."""

from __future__ import annotations

import math
import shutil
import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from lit_metanas.callbacks.protocols import Searched, searches
from lit_metanas.tasks.task import Task

ROUNDING = 1e-6
"""The rounding error of shares of whole steps, in steps."""

REDRAWN = 0.25
"""Seconds between two lines on a terminal; a line takes as long as a step of a small network."""

COUNTED = {"search": "tasks", "predict": "batches"}
"""The unit of the count in these phases; the others count episodes."""

METRIC_PREFIXES = {"meta-train": "train", "validate": "val", "meta-test": "test"}
"""The first part of a phase's metrics."""


class EpisodeProgressBar(ProgressBar):
    """One line: phase, episodes done and in all, episodes a second, time elapsed and left, loss, accuracy.

    Lightning's bars count batches of a known number. Here a training may stop by FLOPs, so the time left follows the
    module's ``progress`` if it has one, and otherwise the trainer's limits; it includes pauses for validation. A
    terminal's line is redrawn in place. A log file or pipe gets a line every ``interval`` seconds, and one at the end
    of a phase.

    Args:
        interval: seconds between two lines without a terminal.

    Raises:
        ValueError: the interval is not positive.

    Example:
        >>> callback = lm.callbacks.EpisodeProgressBar(interval=30)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, interval: float = 10.0) -> None:
        super().__init__()
        if interval <= 0:
            raise ValueError(f"interval is {interval}: give a positive number of seconds.")
        self.interval = interval
        self._enabled = True
        self._phase = ""
        self._done, self._share, self._step = 0, 0.0, 1
        self._start = (0.0, 0, 0.0)  # time, episodes and share when the phase began, perhaps from a checkpoint
        self._printed = -math.inf
        self._trained = 0

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar; arguments are those of the built-in ``print``."""
        if self._enabled:
            print(*args, **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """The number of episodes trained, so that a resumed training continues the count."""
        return {"trained": self._trained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the checkpoint's count."""
        self._trained = state_dict["trained"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._open("meta-train", self._trained, trained_share(trainer, pl_module))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's episodes over all ranks."""
        self._count(trainer, batch, trained_share(trainer, pl_module))
        self._trained = self._done

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count, unless the validation is one of a training."""
        if not trainer.sanity_checking and self._phase != "meta-train":
            self._open("validate")

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's episodes over all ranks."""
        if self._phase == "validate":
            self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_val_batches, dataloader_idx))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._open("meta-test")

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's episodes over all ranks."""
        self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_test_batches, dataloader_idx))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._open("search" if isinstance(pl_module, Searched) else "predict")

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's tasks over all ranks."""
        self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_predict_batches, dataloader_idx))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the last line, unless the validation is one of a training."""
        if self._phase == "validate":
            self._close(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the last line."""
        self._close(trainer)

    on_test_end = on_predict_end = on_train_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Show the last line."""
        self._close(trainer)

    def _open(self, phase: str, done: int = 0, share: float = 0.0) -> None:
        """Begin a phase."""
        self._phase, self._done, self._share, self._step = phase, done, share, 1
        self._start, self._printed = (time.monotonic(), done, share), -math.inf

    def _count(self, trainer: Trainer, batch: Any, share: float) -> None:
        self._step = episodes_in(batch) * trainer.world_size
        self._done += self._step
        self._share = min(max(share, self._share), 1.0)
        pause = REDRAWN if sys.stderr.isatty() else self.interval
        if time.monotonic() - self._printed >= pause:
            self._show(trainer)

    def _close(self, trainer: Trainer) -> None:
        """End a phase."""
        if self._phase and self._done:
            self._show(trainer)
            if self._enabled and sys.stderr.isatty():
                print(file=sys.stderr)
        self._phase = ""

    def _show(self, trainer: Trainer) -> None:
        """Redraw or print the line."""
        self._printed = time.monotonic()
        if not self._enabled:
            return
        line = self.line(self._printed, {name: float(value) for name, value in trainer.callback_metrics.items()})
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:{width}}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def line(self, now: float, metrics: dict[str, float]) -> str:
        """The line at a time, with the metrics so far."""
        begin, before, share = self._start
        rate = (self._done - before) / max(now - begin, 1e-9)
        speed = f"{rate:.1f}/s" if rate >= 0.05 else f"{60 * rate:.1f}/min"
        total, left = "?", "-:--"
        if self._share > 0:
            # A budget of FLOPs ends a training with the step that exceeds it: the last step counts as a whole.
            steps = math.ceil(self._done * (1 / self._share - 1) / self._step - ROUNDING)
            total = str(self._done + self._step * steps)
        if self._share > share:
            left = clock_time((now - begin) * (1 - self._share) / (self._share - share))
        count = f"{self._done}/{total} {COUNTED.get(self._phase, 'episodes')}"
        parts = [self._phase, count, speed, f"elapsed {clock_time(now - begin)}", f"left {left}"]
        prefix = METRIC_PREFIXES.get(self._phase, self._phase)
        if (loss := metrics.get(f"{prefix}/loss")) is not None:
            parts.append(f"loss {loss:.3f}")
        names = {f"{prefix}/accuracy": "accuracy"}
        names.setdefault("val/accuracy", "val")
        parts += [f"{word} {100 * metrics[name]:.1f} %" for name, word in names.items() if name in metrics]
        return "  ".join(parts)


def clock_time(seconds: float) -> str:
    """Seconds as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"


def episodes_in(batch: Any) -> int:
    """The number of episodes in a batch: one for each task in a list, otherwise one."""
    if isinstance(batch, list | tuple) and batch and all(isinstance(item, Task) for item in batch):
        return len(batch)
    return 1


def trained_share(trainer: Trainer, module: LightningModule) -> float:
    """The share of the training that is done: the largest of the module's own and those of the trainer's limits."""
    # Not the loop's index: it also counts a batch that an interruption stopped before its start.
    batches = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
    shares = []
    if searches(module):
        shares.append(float(module.progress))
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        shares.append(batches / max(trainer.max_epochs * float(trainer.num_training_batches), 1.0))
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    return min(max(shares, default=0.0), 1.0)


def _whole(batches: list[int | float] | int | float, index: int) -> int | float:
    """The number of batches of one loader."""
    return batches[index] if isinstance(batches, list) else batches
