"""Trainers of inner runs, and interruptions between training steps only."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy


@contextmanager
def quiet_trainer(device: torch.device, *, epochs: int = 1, callbacks: Sequence[Callback] = ()) -> Iterator[Trainer]:
    """Give a silent Trainer that stays on ``device``; the caller's random state is left as it was."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda")
    levels = {name: logging.getLogger(name).level for name in names}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for name in names:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield Trainer(
                accelerator=device.type,  # else a GPU's where the machine has one, which refuses a CPU
                strategy=SingleDeviceStrategy(device=device),
                max_epochs=epochs,
                callbacks=list(callbacks),
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


class WholeSteps:
    """Holds SIGINT back while parameters change, so that a checkpoint written on interruption can be resumed exactly.

    A second signal is not held back.
    """

    def __init__(self) -> None:
        self._handler: Any = None
        self._waiting = False

    def begin(self) -> None:
        """From here on a signal waits; nothing changes outside of the main thread, which alone gets signals."""
        if self._handler is None and threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGINT)
            if self._handler is not None:  # one that is not Python's could not be put back
                signal.signal(signal.SIGINT, self._note)

    def end(self) -> None:
        """Let signals through again, the one that has waited first."""
        handler, self._handler = self._handler, None
        waiting, self._waiting = self._waiting, False
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        again, self._waiting = self._waiting, True
        if again:
            self.end()


def validate_anew(checkpoint: dict[str, Any]) -> None:
    """Mark a validation in whose middle a checkpoint was written as not begun.

    Lightning would go on in its middle or skip it, and the scores of the batches before are lost.

    Args:
        checkpoint: of Lightning, before it restores its loops from it.
    """
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.val_loop.batch_progress")
    if progress is None:
        return
    current = progress["current"]
    if current["completed"] < current["ready"] or (current["ready"] and not progress["is_last_batch"]):
        progress["current"] = dict.fromkeys(current, 0)
        # One begun batch: to Lightning a validation to finish.
        progress["total"] = {**dict.fromkeys(progress["total"], 0), "ready": 1, "started": 1}
