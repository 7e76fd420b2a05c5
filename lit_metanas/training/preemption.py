"""Training that a cluster or Ctrl-C stops, and that goes on as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lit_metanas.training.outer_training import OuterTraining

_COUNTERS = ("epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress", "epoch_loop.state_dict")
"""Names of the counters that Lightning changes on resuming, among those of its loops."""


class Preemption(Callback):
    """On SIGTERM and Ctrl-C writes a checkpoint and stops; on SIGUSR1 from SLURM has the job queued again, too.

    Lightning's own handler (2.6) writes the checkpoint wherever the signal finds the process. While other processes
    wait for this one's gradient, it never ends. Between the updates of two optimizers, the resumed training repeats the
    first: of two weights that gain 1 in each of 8 steps, one ended at 9. Here all processes agree, between two steps,
    that one of them has had a signal, so that the resumed training is the uninterrupted one, bit for bit. A
    meta-training's message in each step carries the signal along; processes of others send one more.

    Where the loader cannot be resumed within an epoch, the checkpoint of the last epoch's end stands; within the first
    one there is none, and the training starts from the beginning. Other verbs keep what is finished as they go: SIGTERM
    ends them at once, and so does a second Ctrl-C.

    Args:
        path: the checkpoint; by default ``checkpoints/last.ckpt`` in the run's directory.

    Example:
        >>> trainer = lm.Trainer(max_epochs=3, accelerator="cpu", logger=False)
        >>> any(isinstance(callback, lm.training.Preemption) for callback in trainer.callbacks)
        True
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._received: set[int] = set()
        self._module: object = None
        self._interrupt: Any = None
        self._counters: Mapping[str, Any] | None = None
        self._others: tuple[Path, int] | None = None

    @property
    def received(self) -> bool:
        """Whether the last run had a SIGTERM or Ctrl-C, in time to stop it or not."""
        return bool(self._received & {signal.SIGTERM, signal.SIGINT})

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier run."""
        self._received.clear()
        self._module, self._counters = pl_module, None
        if isinstance(pl_module, OuterTraining):
            pl_module.signalled = pl_module.any_signalled = False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the counters of a checkpoint that was written between two steps.

        Lightning knows checkpoints of steps' and epochs' ends only, and would count the coming step twice.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        kept = checkpoint.get("loops", {}).get("fit_loop", {})
        total = kept.get(_COUNTERS[0], {}).get("total", {})
        if total and total["ready"] - 1 == total["started"] == total["completed"]:
            self._counters = {name: deepcopy(kept[name]) for name in _COUNTERS}

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over from Lightning, which restores at the end what was before."""
        if not _gets_signals():
            return
        if "SLURM_JOB_ID" in os.environ:
            _handle(self._note, trainer, signal.SIGUSR1)
        _handle(self._note, trainer, signal.SIGTERM)
        before = signal.getsignal(signal.SIGINT)
        if self._interrupt is None and callable(before):
            self._interrupt = before  # elsewhere it is ignored, as in a job in the background
            signal.signal(signal.SIGINT, lambda number, frame: self._note_interrupt(trainer))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them over here, where no validation comes first; note a checkpoint that is of another training."""
        path, self._others = self.checkpoint(trainer), None
        if trainer.ckpt_path is None and path.exists():
            self._others = path, path.stat().st_mtime_ns
        self.on_sanity_check_start(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End at SIGTERM, unless this is part of a training."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            end_at_sigterm(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End at SIGTERM."""
        end_at_sigterm(trainer)

    on_predict_start = on_test_start

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give Ctrl-C back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give Ctrl-C back."""
        self._give_back()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Look whether any process has had a signal."""
        self._restore_counters(trainer)
        if not self._should_stop(trainer, pl_module):
            return
        path = self.checkpoint(trainer)
        if batch_idx == 0 or hasattr(trainer.train_dataloader, "load_state_dict"):
            trainer.save_checkpoint(path)
        requeues = trainer.strategy.reduce_boolean_decision(signal.SIGUSR1 in self._received, all=False)
        if requeues and trainer.is_global_zero:
            _requeue(path.exists() and not self.is_anothers(path))
        raise _stop(trainer)

    def checkpoint(self, trainer: Trainer) -> Path:
        """Where the checkpoint is written."""
        return Path(self.path or _last_checkpoint(trainer))

    def is_anothers(self, path: Path) -> bool:
        """Whether this is the checkpoint that another training had left when this one began."""
        return self._others == (path, path.stat().st_mtime_ns)

    def _note_interrupt(self, trainer: Trainer) -> None:
        self._give_back()
        self._note(trainer, signal.SIGINT)
        if trainer.local_rank == 0:
            # print is not reentrant
            os.write(2, b"\nlit-metanas: stopping after this step; press Ctrl-C again to stop at once.\n")

    def _give_back(self) -> None:
        before, self._interrupt = self._interrupt, None
        if before is not None:
            signal.signal(signal.SIGINT, before)

    def _note(self, trainer: Trainer, number: int) -> None:
        self._received.add(number)
        if isinstance(self._module, OuterTraining):
            self._module.signalled = True

    def _restore_counters(self, trainer: Trainer) -> None:
        """Let the counters of a resumed training be those with which it was stopped, at the same place."""
        if self._counters is None:
            return
        loop = trainer.fit_loop.epoch_loop
        loop.batch_progress.load_state_dict(self._counters[_COUNTERS[0]])
        loop.val_loop.batch_progress.load_state_dict(self._counters[_COUNTERS[1]])
        loop.on_load_checkpoint(self._counters[_COUNTERS[2]])
        self._counters = None

    def _should_stop(self, trainer: Trainer, module: LightningModule) -> bool:
        if trainer.world_size > 1 and isinstance(module, OuterTraining):
            return module.any_signalled
        return trainer.strategy.reduce_boolean_decision(bool(self._received), all=False)


def how_to_go_on(trainer: Trainer) -> str:
    """How to start a run again that has stopped, whatever stopped it, as the end of a sentence."""
    if trainer.state.fn != TrainerFn.FITTING:
        return "the same command goes on after what is finished"
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    guards = [callback for callback in callbacks if isinstance(callback, Preemption)]
    paths = [*(guard.checkpoint(trainer) for guard in guards), _last_checkpoint(trainer)]
    for path in paths:
        if path.exists() and not any(guard.is_anothers(path) for guard in guards):
            return f"resume the training with --ckpt_path '{path}', or a `run` with the same command"
    return f"there is no checkpoint '{paths[0]}' yet, so the next start is from the beginning"


def end_at_sigterm(trainer: Trainer) -> None:
    """Have SIGTERM end this process at once, wherever it is, until the trainer's run is over."""
    # Lightning's own handler only notes the signal. Its validation and test look at that after a batch, which may be a
    # whole task, and its prediction never does.
    if _gets_signals():
        _handle(_end, trainer, signal.SIGTERM)


def _last_checkpoint(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"


def _gets_signals() -> bool:
    """Whether this is the main thread, which alone does."""
    return threading.current_thread() is threading.main_thread()


def _handle(handler: Callable[[Trainer, int], None], trainer: Trainer, number: int) -> None:
    signal.signal(number, lambda number, frame: handler(trainer, number))
    if trainer.received_sigterm:  # just before
        handler(trainer, signal.SIGTERM)


def _end(trainer: Trainer, number: int) -> None:
    """End this process at once, and those that it has started."""
    signal.signal(number, signal.SIG_IGN)  # one is enough
    if trainer.strategy.launcher is not None:
        trainer.strategy.launcher.kill(number)
    raise _stop(trainer)


def _stop(trainer: Trainer) -> SIGTERMException:
    """The end of this process, with a sentence on the first one of each machine."""
    return SIGTERMException(1 if trainer.local_rank else f"Stopped by a signal; {how_to_go_on(trainer)}.")


def _requeue(stands: bool) -> None:
    job = os.environ["SLURM_JOB_ID"]
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    try:
        # SLURM's own program, wherever it is installed, and SLURM's own number of the job.
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join(str(getattr(error, "stderr", "") or error).split())
        begin = f"The checkpoint is written, but job {job}" if stands else f"Job {job} has no checkpoint yet, and"
        raise ChildProcessError(f"{begin} could not be requeued ({reason}): submit it again.") from None
