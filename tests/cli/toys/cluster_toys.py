"""What a cluster does to a training."""

import os
import signal
from pathlib import Path

from lightning.pytorch import Callback

SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}


class Signal(Callback):
    """Sends one process a signal in the middle of one outer step.

    Args:
        step: the outer step, counted from 0 over all epochs.
        rank: the process.
        number: the signal.
    """

    def __init__(self, step: int, rank: int = 0, number: int = int(signal.SIGUSR1)) -> None:
        self.step, self.rank, self.number = step, rank, number

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_rank == self.rank and int(pl_module.outer_steps) == self.step:
            os.kill(os.getpid(), self.number)


class Fault(Callback):
    """Does something bad to one process in the middle of one outer step, and leaves all processes' ids in a folder.

    Args:
        what: ``kill``, ``terminate``, ``raise`` or ``spoil``.
        rank: the process.
        step: the outer step.
        folder: where each process leaves a file with its id.
    """

    def __init__(self, what: str, rank: int = 1, step: int = 5, folder: str = "pids") -> None:
        self.what, self.rank, self.step, self.folder = what, rank, step, Path(folder)

    def on_train_start(self, trainer, pl_module):
        self.folder.mkdir(exist_ok=True)
        (self.folder / str(trainer.global_rank)).write_text(str(os.getpid()))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_rank != self.rank or int(pl_module.outer_steps) != self.step:
            return
        if self.what in SIGNALS:
            os.kill(os.getpid(), SIGNALS[self.what])
        elif self.what == "raise":
            raise OSError("The disk of this machine is broken.")
        else:
            next(pl_module.supernet.parameters()).data.view(-1)[0].add_(0.1)
