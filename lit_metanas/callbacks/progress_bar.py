"""The progress bar of episodes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.live import Live
from rich.text import Text
from torch import Tensor

from lit_metanas.callbacks.protocols import Searched, searches
from lit_metanas.tasks.task import Task

ROUNDING = 1e-6
"""The rounding error of shares of whole steps, in steps."""

REDRAWN = 0.25
"""Seconds between two lines on a terminal; a line takes as long as a step of a small network."""


class EpisodeMeter:
    """Episodes done, their rate, and the time left, by the share of the work that is done, in [0, 1]."""

    # A training may end by its account of FLOPs and not by a number of steps, so the share decides. In a resumed
    # training only episodes since the start count for the rate.

    def __init__(self, done: int = 0, share: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = done
        self.share = share
        self._clock = clock
        self._start = (clock(), done, share)
        self._step = 1

    def update(self, episodes: int, share: float) -> None:
        """Add episodes, and set the share of the work that is done."""
        self.done += episodes
        self._step = max(episodes, 1)
        self.share = min(max(share, self.share), 1.0)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start[0]

    @property
    def total(self) -> int | None:
        """The expected number of episodes in all; None before the first share is known."""
        if self.share <= 0:
            return None
        # A budget of FLOPs ends a training with the step that exceeds it: the last step counts as a whole.
        steps_left = self.done * (1 / self.share - 1) / self._step
        return self.done + self._step * math.ceil(steps_left - ROUNDING)

    @property
    def rate(self) -> float:
        """Episodes a second since the start."""
        elapsed = self.elapsed
        if elapsed <= 0:
            return 0.0
        return (self.done - self._start[1]) / elapsed

    @property
    def remaining(self) -> float | None:
        """Seconds left at the speed so far; None while the speed is unknown."""
        gained = self.share - self._start[2]
        if gained <= 0:
            return None
        return self.elapsed * (1 - self.share) / gained


def clock_time(seconds: float | None) -> str:
    """Seconds as ``0:07``, ``12:34`` or ``1:02:03``; an unknown time as ``-:--``."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"


COUNTED = {"search": "tasks", "predict": "batches"}
"""The unit of the count in these phases; the others count episodes."""

METRIC_PREFIXES = {"meta-train": "train", "validate": "val", "meta-test": "test"}
"""The first part of a phase's metrics."""


class EpisodeProgressBar(ProgressBar):
    """One line: phase, episodes done and in all, episodes a second, time elapsed and left, loss, accuracy.

    The time left follows the module's ``progress`` if it has one, since it may stop by FLOPs, and otherwise the
    trainer's limits. It includes pauses for validation. A terminal's line is redrawn in place. A log file or pipe gets
    a plain line at the start, every ``interval`` seconds, and at the end of a phase.

    Args:
        interval: seconds between two lines without a terminal.

    Example:
        >>> import lit_metanas as lm
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
        self._live: Live | None = None
        self._meter = EpisodeMeter()
        self._note = ""
        self._phase = ""
        self._printed = float("-inf")
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
        """Open the line."""
        self._open("meta-train", EpisodeMeter(self._trained, trained_share(trainer, pl_module)))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's episodes over all ranks."""
        self._count(trainer, batch, trained_share(trainer, pl_module))
        self._trained = self._meter.done

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line unless a training's is open."""
        if not trainer.sanity_checking and self._phase != "meta-train":
            self._open("validate", EpisodeMeter())

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Note a validation within a training, or count one of its own."""
        whole = _whole(trainer.num_val_batches, dataloader_idx)
        if self._phase == "validate":
            self._count(trainer, batch, (batch_idx + 1) / whole)
        elif not trainer.sanity_checking:
            self._note = f"validating {batch_idx + 1}/{whole}"
            self._show(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Return to the training, or close the line."""
        self._note = ""
        if self._phase == "validate":
            self._close(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line."""
        self._open("meta-test", EpisodeMeter())

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's episodes over all ranks."""
        self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_test_batches, dataloader_idx))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line."""
        phase = "search" if isinstance(pl_module, Searched) else "predict"
        self._open(phase, EpisodeMeter())

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's tasks over all ranks."""
        self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_predict_batches, dataloader_idx))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the line."""
        self._close(trainer)

    on_test_end = on_predict_end = on_train_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Release the terminal."""
        self._close(trainer)

    def _count(self, trainer: Trainer, batch: Any, share: float) -> None:
        self._meter.update(episodes_in(batch) * trainer.world_size, share)
        self._show(trainer)

    def _open(self, phase: str, meter: EpisodeMeter) -> None:
        """Begin a phase."""
        self._phase, self._meter, self._note, self._printed = phase, meter, "", float("-inf")
        if not self._enabled:
            return
        console = Console(file=sys.stderr)
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=1 / REDRAWN, transient=False)
            self._live.start()

    def _show(self, trainer: Trainer, last: bool = False) -> None:
        """Redraw or print the line when it is due."""
        pause = self.interval if self._live is None else REDRAWN
        if not self._enabled or not (last or self._meter.elapsed - self._printed >= pause):
            return
        self._printed = self._meter.elapsed
        parts = line_parts(self._phase, self._meter, self._note, self._numbers(trainer.callback_metrics))
        if self._live is not None:
            self._live.update(terminal_line(parts, self._meter.share, self._live.console.width))
        else:
            print("  ".join(filter(None, parts)), file=sys.stderr, flush=True)

    def _close(self, trainer: Trainer) -> None:
        """End a phase."""
        if self._phase and self._meter.done:
            self._show(trainer, last=True)
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._phase = ""

    def _numbers(self, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """The numbers at the end of the line."""
        prefix = METRIC_PREFIXES.get(self._phase, self._phase)
        names = {"loss": f"{prefix}/loss", "accuracy": f"{prefix}/accuracy"}
        if prefix == "train":
            names["val"] = "val/accuracy"
        return {word: float(metrics[name]) for word, name in names.items() if name in metrics}


def line_parts(phase: str, meter: EpisodeMeter, note: str, numbers: Mapping[str, float]) -> list[str]:
    """The texts of one line."""
    total = "?" if meter.total is None else f"{meter.total:,}"
    rate = f"{meter.rate:.1f}/s"
    if meter.rate < 0.05 and meter.done:
        rate = f"{60 * meter.rate:.1f}/min"
    return [
        phase,
        f"{meter.done:,}/{total} {COUNTED.get(phase, 'episodes')}".replace(",", " "),
        rate,
        f"elapsed {clock_time(meter.elapsed)}",
        f"left {clock_time(meter.remaining)}",
        *(_number_text(word, value) for word, value in numbers.items()),
        note,
    ]


def _number_text(word: str, value: float) -> str:
    if word == "loss":
        return f"loss {value:.3f}"
    return f"{word} {100 * value:.1f} %"


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


def terminal_line(parts: list[str], share: float, width: int) -> Text:
    """The line on a terminal of ``width`` characters, with a bar after the phase; a narrow one shows less."""
    phase, done, rate, elapsed, *rest = parts
    bar = f"{'━' * round(10 * share):10}"
    line = "  ".join(filter(None, (phase, bar, done, rate, elapsed, *rest)))
    if len(line) > width:
        line = "  ".join(filter(None, (phase, done, *rest)))
    return Text(line, no_wrap=True, overflow="ellipsis")
