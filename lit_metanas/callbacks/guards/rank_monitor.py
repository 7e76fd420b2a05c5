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
from lit_metanas.training.preemption import how_to_go_on

_EXIT_TIMEOUT = 30.0
"""Seconds that a process has to end by itself once another is lost."""


class RankMonitor(Callback):
    """Stops all processes when one of them died, was stopped, hangs or failed, with a message that names it.

    Without it the others wait in their next collective for half an hour, or for ever. A thread exchanges heartbeats,
    and the training itself sends nothing. Files stay as they are: a checkpoint is complete or absent. With one process
    the callback does nothing.

    Args:
        timeout: seconds without a heartbeat after which a process counts as lost; a process that dies is noticed at
            once.
        hang_timeout: seconds without progress in training, while others wait for it, after which a process counts as
            hanging. A search has no such limit: its tasks may take very different times.

    Raises:
        ValueError: a number of seconds is below 2.

    Example:
        >>> callback = lm.callbacks.RankMonitor(timeout=120)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, timeout: float = 60.0, hang_timeout: float = 1800.0) -> None:
        if min(timeout, hang_timeout) < 2:
            raise ValueError(
                f"RankMonitor: timeout is {timeout} and hang_timeout is {hang_timeout}; give at least 2 seconds."
            )
        self.timeout = timeout
        self.hang_timeout = hang_timeout
        self._heartbeat: Heartbeat | None = None
        self._reports = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Connect the processes."""
        if trainer.world_size == 1 or self._heartbeat is not None:
            return
        self._reports = trainer.local_rank == 0

        def end(reason: str) -> None:
            end_process(_sentence(reason, trainer) if self._should_report(reason) else "")

        hang_timeout = self.hang_timeout if trainer.state.fn == TrainerFn.FITTING else None
        heartbeat = Heartbeat(
            rank=trainer.global_rank,
            timeout=self.timeout,
            hang_timeout=hang_timeout,
            children=_children(trainer),
            end=end,
        )
        environment = getattr(trainer.strategy, "cluster_environment", None)
        if trainer.is_global_zero:
            host = getattr(environment, "main_address", "127.0.0.1")
            trainer.strategy.broadcast(heartbeat.listen(host, trainer.num_nodes > 1, trainer.world_size - 1))
        else:
            rendezvous: Any = trainer.strategy.broadcast(None)
            heartbeat.connect(rendezvous)
        self._heartbeat = heartbeat

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Record progress."""
        if self._heartbeat is not None:
            self._heartbeat.progress += 1

    on_train_batch_end = on_validation_batch_end = on_train_batch_start

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Send the others the reason why this process stops, or raise the reason why another did."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is None:
            return
        if not _is_connection_error(exception):
            reason = " ".join(str(exception).split()).rstrip(".") or type(exception).__name__
            if isinstance(exception, SIGTERMException) and trainer.state.fn != TrainerFn.FITTING:
                reason = "SIGTERM"
            elif not isinstance(exception, Exception):
                reason = ""  # Ctrl-C reaches all, and a training's processes have agreed to stop
            heartbeat.close(reason and f"Process {heartbeat.rank} has stopped ({reason})")
            return
        reason = heartbeat.wait_for_reason()
        reason = reason or f"Process {heartbeat.rank} has lost its connection to another ({exception})"
        heartbeat.close()
        watchdog = threading.Timer(_EXIT_TIMEOUT, end_process, [""])
        watchdog.daemon = True
        watchdog.start()
        for logger in trainer.loggers:
            logger.finalize("failed")
        if not self._should_report(reason):
            raise SystemExit(1) from None
        raise ChildProcessError(_sentence(reason, trainer)) from None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Disconnect once all processes are done."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            trainer.strategy.barrier()
            heartbeat.close()

    def _should_report(self, reason: str) -> bool:
        """Whether this process prints the reason: the first on each machine, or all if process 0 is lost."""
        return self._reports or reason.startswith("Process 0 ")


def _sentence(reason: str, trainer: Trainer) -> str:
    return f"{reason}, so the other processes stop: {how_to_go_on(trainer)}."


def _children(trainer: Trainer) -> dict[int, subprocess.Popen[bytes]]:
    """The processes that this one has started, by rank, taken away from Lightning's observer."""
    # The observer would kill this process, without a word, up to five seconds after one of them has ended. It cannot be
    # switched off, but it watches the launcher's own list: that is emptied, and the launcher gets a copy, by which it
    # passes signals on.
    launcher: Any = trainer.strategy.launcher
    observed = getattr(launcher, "procs", [])
    if not all(isinstance(process, subprocess.Popen) for process in observed):
        return {}  # forked, which no observer watches
    processes = list(observed)
    if processes:
        observed.clear()
        launcher.procs = processes
    return {trainer.global_rank + place: process for place, process in enumerate(processes, start=1)}


def _is_connection_error(exception: BaseException) -> bool:
    """Whether an error means that a message between processes could not be sent or received."""
    text = str(exception)
    return isinstance(exception, distributed.DistError) or (
        isinstance(exception, RuntimeError) and any(word in text for word in ("gloo", "NCCL", "Connection "))
    )
