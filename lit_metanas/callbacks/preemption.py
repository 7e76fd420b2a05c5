"""Training on machines that a cluster takes away."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException


class Preemption(Callback):
    """On SIGUSR1 writes a checkpoint, has SLURM queue the job again, and stops; on SIGTERM does not have it queued.

    Lightning's own handler writes the checkpoint wherever the signal finds the process: in the middle of a step, or
    while other processes wait for this one's gradient, for ever. Here all processes agree, between two steps, that one
    of them has had a signal, so that the resumed training is the uninterrupted one, bit for bit.

    Where the loader cannot be resumed within an epoch, the checkpoint of the last epoch's end stands.

    Args:
        path: the checkpoint; by default ``checkpoints/last.ckpt`` in the run's directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._received: set[int] = set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over from Lightning, which restores at the end what was before."""
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._note)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Look whether any process has had a signal.

        Raises:
            ChildProcessError: SLURM does not queue the job again.
            SIGTERMException: the training is stopped.
        """
        if not self._any(trainer, bool(self._received)):
            return
        path = Path(self.path or Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
        if batch_idx == 0 or hasattr(trainer.train_dataloader, "load_state_dict"):
            trainer.save_checkpoint(path)
        if self._any(trainer, signal.SIGUSR1 in self._received) and trainer.is_global_zero:
            _requeue()
        rank_zero_info(f"Stopped by a signal; '{path}' is where it goes on.")
        raise SIGTERMException

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received.add(number)

    @staticmethod
    def _any(trainer: Trainer, mine: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(mine, all=False)


def _requeue() -> None:
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = " ".join(str(getattr(error, "stderr", "") or error).split())
        raise ChildProcessError(
            f"The checkpoint is written, but job {job} is not queued again ({said}): submit it anew."
        ) from None
