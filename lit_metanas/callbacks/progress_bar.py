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
from rich.progress_bar import ProgressBar as RichBar
from rich.table import Table
from torch import Tensor

from lit_metanas.callbacks.protocols import Searched, searches
from lit_metanas.tasks.task import Task

ROUNDING = 1e-6
"""Of a step: as much as shares of whole steps may be off."""

REDRAWN = 0.25
"""Seconds between two lines on a terminal: to make a line takes as long as a step of a small network takes."""


class EpisodeMeter:
    """Episodes done, their rate, and the time left, from the share of the work that is done.

    The share is what decides, since a training may end by its account of FLOPs and not by a number of steps. Where it
    began above zero (a resumed training), only what was done since counts for the rate.

    Args:
        done: episodes done before.
        share: share of the work done before, in [0, 1].
        clock: tells seconds.
    """

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
        """Episodes that there will have been in the end; None before the first share is known.

        A budget of FLOPs ends a training with the step that exceeds it: the last step counts as a whole.
        """
        if self.share <= 0:
            return None
        steps_left = self.done * (1 / self.share - 1) / self._step
        return self.done + self._step * math.ceil(steps_left - ROUNDING)

    @property
    def rate(self) -> float:
        """Episodes a second since the start."""
        return (self.done - self._start[1]) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left at the speed so far; None before there is one."""
        gained = self.share - self._start[2]
        return self.elapsed * (1 - self.share) / gained if gained > 0 else None


def clock_time(seconds: float | None) -> str:
    """Seconds as ``0:07``, ``12:34`` or ``1:02:03``; an unknown time as ``-:--``."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


COUNTED = {"search": "tasks", "predict": "batches"}
"""What is counted in these phases; in the others it is episodes."""


class EpisodeProgressBar(ProgressBar):
    """One line: phase, episodes done and in all, episodes a second, time elapsed and left, loss, accuracy.

    Time left follows the module's ``progress`` where it has one, for it may stop by FLOPs, and the trainer's limits
    otherwise; pauses for validation are in it. On a terminal the line is redrawn in place; in a log file or a pipe
    a plain line is printed at the start, every ``interval`` seconds and at the end of a phase.

    Args:
        interval: seconds between two lines where there is no terminal.
        loss: the metric that is shown as the loss in training.
        accuracy: the last part of the metric that is shown as the accuracy, after the phase's own prefix.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.EpisodeProgressBar(interval=30)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, interval: float = 10.0, loss: str = "train/loss", accuracy: str = "accuracy") -> None:
        super().__init__()
        if interval <= 0:
            raise ValueError(f"interval is {interval}: give a positive number of seconds.")
        self.interval = interval
        self.loss = loss
        self.accuracy = accuracy
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
        """Episodes trained, so that a resumed training goes on counting."""
        return {"trained": self._trained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the checkpoint's count."""
        self._trained = state_dict["trained"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line."""
        self._open("meta-train", EpisodeMeter(self._trained, trained_share(trainer, pl_module)))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's episodes over all ranks."""
        self._meter.update(episodes_in(batch) * trainer.world_size, trained_share(trainer, pl_module))
        self._trained = self._meter.done
        self._show(trainer)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Note the validation inside a training, or count a validation of its own."""
        if trainer.sanity_checking:
            return
        if self._phase == "meta-train":
            self._note = f"validating {batch_idx + 1}/{_whole(trainer.num_val_batches, dataloader_idx)}"
            self._show(trainer)
        else:
            self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_val_batches, dataloader_idx))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line unless a training's is open."""
        if not trainer.sanity_checking and self._phase != "meta-train":
            self._open("validate", EpisodeMeter())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go back to the training, or close the line."""
        self._note = ""
        if self._phase == "validate":
            self._close(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the line."""
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

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the line."""
        self._close(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the line."""
        self._open("search" if isinstance(pl_module, Searched) else "predict", EpisodeMeter())

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the batch's tasks over all ranks."""
        self._count(trainer, batch, (batch_idx + 1) / _whole(trainer.num_predict_batches, dataloader_idx))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the line."""
        self._close(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
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
        """Redraw the line, or print it, if it is time to."""
        pause = self.interval if self._live is None else REDRAWN
        if not self._enabled or not (last or self._meter.elapsed - self._printed >= pause):
            return
        self._printed = self._meter.elapsed
        parts = line_parts(self._phase, self._meter, self._note, self._numbers(trainer.callback_metrics))
        if self._live is not None:
            self._live.update(_rich_line(parts, self._meter.share, self._live.console.width))
        else:
            print("  ".join(part for part in parts if part), file=sys.stderr, flush=True)

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
        prefix = {"meta-train": "train", "validate": "val", "meta-test": "test"}.get(self._phase, self._phase)
        names = {"loss": self.loss if prefix == "train" else f"{prefix}/loss", "accuracy": f"{prefix}/{self.accuracy}"}
        if prefix == "train":
            names["val"] = f"val/{self.accuracy}"
        return {word: float(metrics[name]) for word, name in names.items() if name in metrics}


def line_parts(phase: str, meter: EpisodeMeter, note: str, numbers: Mapping[str, float]) -> list[str]:
    """The texts of one line."""
    total = "?" if meter.total is None else f"{meter.total:,}"
    shown = [
        f"{word} {value:.3f}" if word == "loss" else f"{word} {100 * value:.1f} %" for word, value in numbers.items()
    ]
    return [
        phase,
        f"{meter.done:,}/{total} {COUNTED.get(phase, 'episodes')}".replace(",", " "),
        f"{meter.rate:.1f}/s" if meter.rate >= 0.05 or not meter.done else f"{60 * meter.rate:.1f}/min",
        f"elapsed {clock_time(meter.elapsed)}",
        f"left {clock_time(meter.remaining)}",
        *shown,
        note,
    ]


def episodes_in(batch: Any) -> int:
    """Episodes of a batch: a task is one, a list of tasks as many, anything else one."""
    if isinstance(batch, list | tuple) and batch and all(isinstance(item, Task) for item in batch):
        return len(batch)
    return 1


def trained_share(trainer: Trainer, module: LightningModule) -> float:
    """Share of the training that is done: the largest of the module's own and those of the trainer's limits."""
    # Not the loop's index, which counts a batch that an interruption has kept from beginning.
    batches = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
    shares = [float(module.progress)] if searches(module) else []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        shares.append(batches / max(trainer.max_epochs * float(trainer.num_training_batches), 1.0))
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    return min(max(shares, default=0.0), 1.0)


def _whole(batches: list[int | float] | int | float, index: int) -> int | float:
    """Number of batches of one loader."""
    return max(batches[index] if isinstance(batches, list) else batches, 1)


def _rich_line(parts: list[str], share: float, width: int) -> Table:
    """The line on a terminal of ``width`` characters, with a bar after the phase; a narrow one gets less of it."""
    shown = [part for part in parts if part]
    for spared in (parts[3], parts[2], *parts[5:]):  # elapsed and rate first, then numbers
        if sum(len(part) + 2 for part in shown) - 2 <= width:
            break
        shown = [part for part in shown if part is not spared]
    bar = min(20, width - sum(len(part) + 2 for part in shown) - 2)
    line = Table.grid(padding=(0, 2))
    cells: list[RichBar | str] = [
        f"[bold]{shown[0]}[/bold]",
        *([RichBar(total=1.0, completed=share, width=bar)] if bar >= 5 else []),
        *shown[1:],
    ]
    for _ in cells:
        line.add_column(no_wrap=True)
    line.add_row(*cells)
    return line
