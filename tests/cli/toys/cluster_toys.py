"""What a cluster does to a training."""

import os
import signal

from lightning.pytorch import Callback


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
