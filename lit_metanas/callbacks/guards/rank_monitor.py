"""Processes that stop together when one of them is lost."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import distributed

from lit_metanas.callbacks.guards.heartbeat import Heartbeat, end_process

_LAST = 30.0
"""Seconds that a process takes at most to end that knows that another is lost."""


class RankMonitor(Callback):
    """Stops all processes, with one sentence that names it, when one of them died, was stopped, hangs or failed.

    Without it the others wait in the next message for half an hour, or for ever. A thread beside the training does it;
    the training itself sends nothing. What was written stays as it was: a checkpoint is whole or not there. On one
    process it does nothing.

    Args:
        limit: seconds without a heartbeat after which a process counts as gone; one that dies is noticed at once.
        stuck: seconds after which a process counts as hanging that comes no further in its training while others wait
            for it. Searches of different tasks may take as different times as they like.

    Raises:
        ValueError: a number of seconds is below 2.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.RankMonitor(limit=120)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, limit: float = 60.0, stuck: float = 1800.0) -> None:
        if min(limit, stuck) < 2:
            raise ValueError(f"RankMonitor: limit is {limit} and stuck {stuck}; give at least 2 seconds.")
        self.limit = limit
        self.stuck = stuck
        self._signs: Heartbeat | None = None
        self._speaks = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Bring the processes together."""
        if trainer.world_size == 1 or self._signs is not None:
            return
        self._speaks = trainer.local_rank == 0
        signs = Heartbeat(
            rank=trainer.global_rank,
            limit=self.limit,
            stuck=self.stuck if trainer.state.fn == TrainerFn.FITTING else None,
            children=_children(trainer),
            end=lambda sentence: end_process(self._sentence(sentence) if self._says(sentence) else ""),
        )
        environment = getattr(trainer.strategy, "cluster_environment", None)
        if trainer.is_global_zero:
            host = environment.main_address if environment is not None else "127.0.0.1"
            trainer.strategy.broadcast(signs.open(host, trainer.num_nodes > 1, trainer.world_size - 1))
        else:
            meeting: Any = trainer.strategy.broadcast(None)
            signs.join_in(meeting)
        self._signs = signs

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note that the training comes further."""
        self._further()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note it here, too."""
        self._further()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """And here."""
        self._further()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Tell the others; or find out which of them it was.

        Raises:
            ChildProcessError: another process was lost.
            SystemExit: it was, and another process says so.
        """
        signs, self._signs = self._signs, None
        if signs is None:
            return
        if not _lost(exception):
            told = " ".join(str(exception).split()) or type(exception).__name__
            if isinstance(exception, SIGTERMException) and trainer.state.fn != TrainerFn.FITTING:
                told = "SIGTERM"
            elif not isinstance(exception, Exception):
                told = ""  # Ctrl-C reaches all, and a training's processes have agreed to stop
            signs.leave(told and f"Process {signs.rank} has stopped ({told})")
            return
        said = signs.verdict() or f"Process {signs.rank} has lost its connection to another ({exception})"
        signs.leave()
        backstop = threading.Timer(_LAST, end_process, [""])
        backstop.daemon = True
        backstop.start()
        for logger in trainer.loggers:
            logger.finalize("failed")
        if not self._says(said):
            raise SystemExit(1) from None
        raise ChildProcessError(self._sentence(said)) from None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Part from each other, once all are done."""
        signs, self._signs = self._signs, None
        if signs is not None:
            trainer.strategy.barrier()
            signs.leave()

    def _further(self) -> None:
        if self._signs is not None:
            self._signs.progress += 1

    def _says(self, said: str) -> bool:
        """Whether this process is one of those that tell it: the first on each machine, or all if that one is lost."""
        return self._speaks or said.startswith("Process 0 ")

    @staticmethod
    def _sentence(said: str) -> str:
        return f"{said}: the other processes stop, too; started again, the run goes on from its last checkpoint."


def _children(trainer: Trainer) -> dict[int, subprocess.Popen[bytes]]:
    """The processes that this one has started by its own command line, by rank, taken from Lightning's observer.

    The observer would kill this process, without a word, up to five seconds after one of them has ended. It cannot be
    switched off, but it watches the launcher's own list: that is emptied, and the launcher gets a copy, by which it
    passes signals on.
    """
    launcher: Any = trainer.strategy.launcher
    observed = getattr(launcher, "procs", [])
    if not all(isinstance(process, subprocess.Popen) for process in observed):
        return {}  # forked, which no observer watches
    processes = list(observed)
    if processes:
        observed.clear()
        launcher.procs = processes
    return {trainer.global_rank + place: process for place, process in enumerate(processes, start=1)}


def _lost(exception: BaseException) -> bool:
    """Whether an error is that of a message that could not be sent or received."""
    text = str(exception)
    return isinstance(exception, distributed.DistError) or (
        isinstance(exception, RuntimeError) and any(word in text for word in ("gloo", "NCCL", "Connection "))
    )
