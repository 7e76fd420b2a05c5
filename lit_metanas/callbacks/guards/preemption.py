"""Training on machines that a cluster takes away."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lit_metanas.callbacks.protocols import Agreeing


class Preemption(Callback):
    """On SIGTERM writes a checkpoint and stops; on SIGUSR1 from SLURM has the job queued again, too.

    Lightning's own handler writes the checkpoint wherever the signal finds the process: in the middle of a step, or
    while other processes wait for this one's gradient, for ever. Here all processes agree, between two steps, that one
    of them has had a signal, so that the resumed training is the uninterrupted one, bit for bit. A module that sends a
    message in each step (``Agreeing``) carries the signal along; processes of others send one more.

    Where the loader cannot be resumed within an epoch, the checkpoint of the last epoch's end stands; within the first
    one there is none, and the training starts from the beginning.

    Args:
        path: the checkpoint; by default ``checkpoints/last.ckpt`` in the run's directory.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.Preemption()
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._received: set[int] = set()
        self._module: object = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over from Lightning, which restores at the end what was before."""
        self._module = pl_module
        self._received.clear()
        if threading.current_thread() is not threading.main_thread():
            return  # which alone gets signals
        for number in (signal.SIGUSR1, signal.SIGTERM) if "SLURM_JOB_ID" in os.environ else (signal.SIGTERM,):
            signal.signal(number, self._note)
        # Lightning's way to tell others of a SIGTERM, another message in each step, has nothing left to tell.
        trainer.fit_loop.epoch_loop.__dict__["_broadcast_sigterm_tensor"] = _say_nothing

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Look whether any process has had a signal.

        Raises:
            ChildProcessError: SLURM does not queue the job again.
            SIGTERMException: the training is stopped.
        """
        if not self._wanted(trainer, pl_module):
            return
        path = Path(self.path or Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
        if batch_idx == 0 or hasattr(trainer.train_dataloader, "load_state_dict"):
            trainer.save_checkpoint(path)
        stands = path.exists()
        if self._any(trainer, signal.SIGUSR1 in self._received) and trainer.is_global_zero:
            _requeue(stands)
        goes_on = f"it goes on from '{path}'" if stands else f"there is no '{path}' yet: it starts from the beginning"
        rank_zero_info(f"Stopped by a signal; {goes_on}.")
        raise SIGTERMException

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received.add(number)
        if isinstance(self._module, Agreeing):
            self._module.signalled = True

    def _wanted(self, trainer: Trainer, module: LightningModule) -> bool:
        mine = bool(self._received)
        if trainer.world_size > 1 and isinstance(module, Agreeing):
            return module.any_signalled
        return self._any(trainer, mine)

    @staticmethod
    def _any(trainer: Trainer, mine: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(mine, all=False)


def _say_nothing() -> None:
    pass


def _requeue(stands: bool) -> None:
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = " ".join(str(getattr(error, "stderr", "") or error).split())
        begin = f"The checkpoint is written, but job {job}" if stands else f"Job {job} has no checkpoint yet, and"
        raise ChildProcessError(f"{begin} is not queued again ({said}): submit it again.") from None
