"""Trainers with the defaults of this package, and how they write and read checkpoints."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, cast

import torch
from lightning import pytorch
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment, TorchCheckpointIO
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.plugins import LayerSync, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy

from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import FIX, read_checkpoint
from lit_metanas.io.files import own_folder, remove_partial, write_whole
from lit_metanas.io.text import DEBUG, printable, short_number
from lit_metanas.training.precision import AUTO_PRECISION, BF16, PaddedConvolutions, by_flags
from lit_metanas.training.preemption import Preemption

MOST_PROCESSES = 4096  # threads of a process, and processes of a machine: beyond it torch asks for memory without end

PRECISION_KEY = "lit_metanas_precision"  # of a checkpoint: the Trainer's precision

OUTPUT_FOLDERS = ("checkpoints", "logs", "lightning_logs", "wandb")
"""Into which a Trainer writes in its ``default_root_dir``."""

Plugin = Precision | ClusterEnvironment | CheckpointIO | LayerSync

_Arguments = ParamSpec("_Arguments")

LOGGERS = ("lightning.pytorch", "lightning.fabric")

OBVIOUS = (
    ".*does not have many workers.*",
    ".*The number of training batches.*",
    ".*callbacks used to create the checkpoint.*",
    ".*The dirpath has changed.*",
    r".*torch\.distributed\.nn\.functional\.all_gather is deprecated.*",  # by Lightning's own gathering
    ".*LeafSpec.*is deprecated.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Total length of .* across ranks is zero.*",  # no tasks are held out for validation
)
"""Warnings of Lightning that tell nothing."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole, reads them without executing code, and removes only those in its own folders."""

    # Lightning writes a checkpoint into the system's temporary folder and then moves it. To another disk it is copied:
    # a process that is killed meanwhile leaves a part of the only checkpoint.

    def __init__(self) -> None:
        super().__init__()
        self._folders: set[Path] = set()  # behind all links

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint to a path of this machine."""
        _refuse_address(path)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        self._folders.add(target.parent.resolve())
        remove_partial(target.parent, target.name)  # of a run that was killed: one process alone writes this file
        write_whole(target, content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, location: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint by ``read_checkpoint``; ``weights_only`` has no effect."""
        return read_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint's file, if it lies in a folder to which this object has written one."""
        # Lightning removes whatever path an earlier checkpoint names as its predecessor, even whole folders.
        file = Path(path)
        if file.parent.resolve() not in self._folders:
            warnings.warn(f"'{path}' was not removed: this run has written no checkpoint there.", stacklevel=2)
        elif not file.is_dir() or file.is_symlink():
            file.unlink(missing_ok=True)


def _refuse_address(path: str | Path) -> None:
    if "://" in str(path):
        raise ValueError(
            f"The checkpoint '{printable(str(path), 80)}' is no path: give one, or Lightning's `TorchCheckpointIO` as "
            "a plugin of the Trainer."
        )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says on every run: devices, tips, why it stopped; not where the environment has DEBUG."""
    if os.environ.get(DEBUG) == "1":
        yield
        return
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in OBVIOUS:
            warnings.filterwarnings("ignore", message=message)
        for logger in loggers:
            logger.setLevel(max(logger.level, logging.WARNING))
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _from_checkpoint(method: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """A method of a Trainer that says in one sentence from which checkpoint a training cannot go on."""

    @wraps(method)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        trainer = cast(Trainer, args[0])
        trainer.begun = False
        try:
            method(*args, **kwargs)
        except DAMAGED as error:
            if trainer.ckpt_path is None or trainer.begun or isinstance(error, OSError | ValueError):
                raise
            reason = printable(f"{type(error).__name__}: {' '.join(str(error).split())}", 200)
            raise ValueError(
                f"The checkpoint '{trainer.ckpt_path}' is damaged or of another configuration ({reason}): {FIX}."
            ) from error

    return run


class Trainer(pytorch.Trainer):
    """Lightning's Trainer with the defaults that episodes need, and with the verb ``search``.

    Everything else is as in Lightning, whose own Trainer works, too: this one spares its user the settings, and what
    Lightning says on every run, unless the environment has ``LIT_METANAS_DEBUG=1``.

    Args:
        max_epochs: stop after so many epochs; -1 does not. Without any limit, Lightning would take 1,000: here a model
            that has a budget ends the training by itself (``ends_by_itself``), and others are refused.
        inference_mode: whether evaluation and search run in inference mode. Off, for adaptation needs gradients.
        use_distributed_sampler: whether Lightning spreads the data over processes. Off, for this package's data
            modules do so themselves.
        enable_model_summary: whether a table of the model's layers is printed.
        threads: torch's threads during a run on a CPU, at least 1: small images are fastest with one, by up to 20
            times. They are put back after the run; None leaves them as they are. Another number gives sums of another
            order, and so other numbers in their last bits.
        precision: one of Lightning's, by default ``32-true``; ``auto`` is ``bf16-mixed`` on a device that has units for
            products in bf16, and ``32-true`` on others. It is not the default, as another processor would give other
            numbers. A checkpoint names its precision, and a training that goes on in another one says so.
        callbacks: one or several callbacks. Unless it is among them, or there are to be no checkpoints, ``Preemption``
            is added: a training that Ctrl-C or SIGTERM stops leaves one, from which it goes on as if it had not been.
        plugins: one or several plugins. Without another one for checkpoints, these are written whole and read without
            executing code in them.
        **settings: all other arguments of Lightning's Trainer.

    Raises:
        ValueError: ``threads`` or the epochs or steps between validations are less than 1, or there are more than
            4,096 threads; or ``default_root_dir`` has a link in the place of a folder for checkpoints or logs.

    Example:
        >>> trainer = lm.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False)
        >>> trainer.max_epochs
        3
    """

    def __init__(
        self,
        *,
        max_epochs: int | None = None,
        inference_mode: bool = False,
        use_distributed_sampler: bool = False,
        enable_model_summary: bool | None = False,
        threads: int | None = 1,
        precision: str | int | None = None,
        callbacks: list[Callback] | Callback | None = None,
        plugins: list[Plugin] | Plugin | None = None,
        **settings: Any,
    ) -> None:
        check_threads("Trainer", threads)
        if (root := settings.get("default_root_dir")) is not None:
            for name in OUTPUT_FOLDERS:
                own_folder(os.path.expanduser(root), name)
        if settings.get("val_check_interval") == 0:
            raise ValueError("Trainer: val_check_interval is 0; give a number of steps, or a share of an epoch.")
        if (every := settings.get("check_val_every_n_epoch", 1)) is not None and every < 1:
            raise ValueError(f"Trainer: check_val_every_n_epoch is {every}; give 1 or more, or none for no epochs.")
        own: list[Callback] = [_Defaults(threads), *_as_list(callbacks)]
        plugged: list[Plugin] = _as_list(plugins)
        if settings.get("enable_checkpointing") is not False and not any(isinstance(each, Preemption) for each in own):
            own.append(Preemption())
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugged):
            plugged.append(AtomicCheckpointIO())
        timed = settings.get("max_time") is not None or any(isinstance(each, Timer) for each in own)
        self._ends_otherwise = timed or max_epochs == -1
        if max_epochs is None:
            max_epochs = -1
        if precision == AUTO_PRECISION:
            precision = by_flags(AUTO_PRECISION, _device_of(settings.get("accelerator", "auto")))
        with quiet_lightning():
            super().__init__(
                max_epochs=max_epochs,
                precision=precision,  # type: ignore[arg-type]  # Lightning checks it, and names those that it has
                plugins=plugged,
                callbacks=own,
                inference_mode=inference_mode,
                use_distributed_sampler=use_distributed_sampler,
                enable_model_summary=enable_model_summary,
                **settings,
            )
        self.threads = threads
        self.begun = False

    # They stay Lightning's own methods, whose arguments are those of the command line.
    fit = _from_checkpoint(quiet_lightning()(pytorch.Trainer.fit))
    validate = quiet_lightning()(pytorch.Trainer.validate)
    test = quiet_lightning()(pytorch.Trainer.test)
    predict = quiet_lightning()(pytorch.Trainer.predict)

    def check_end(self, model: LightningModule) -> None:
        """Raise ValueError if nothing ends a training: no limit, and no budget of a model with ``ends_by_itself``."""
        itself = getattr(model, "ends_by_itself", None)
        if itself or self.max_epochs != -1 or self.max_steps != -1:
            return
        fix = "the model's flops, or the Trainer's max_epochs or max_steps."
        if itself is None:
            fix = "the Trainer's max_epochs, max_steps or max_time, or max_epochs -1 if a callback ends it."
        if itself is False or not self._ends_otherwise:
            raise ValueError(f"Nothing ends the training of {type(model).__name__}: set {fix}")

    def search(
        self, model: LightningModule, datamodule: LightningDataModule | None = None, ckpt_path: str | None = None
    ) -> None:
        """Searches an architecture for each target task, trains it and scores it.

        Args:
            model: what searches; its ``predict_step`` takes one task.
            datamodule: the target tasks.
            ckpt_path: a checkpoint of ``model``.
        """
        self.predict(model, datamodule=datamodule, return_predictions=False, ckpt_path=ckpt_path)


def _device_of(accelerator: object) -> torch.device:
    """The kind of device that Lightning takes for an accelerator by name; one that is none of torch's has no bf16."""
    if accelerator == "cpu" or isinstance(accelerator, CPUAccelerator):
        return torch.device("cpu")
    if accelerator in ("auto", "gpu", "cuda"):
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    return torch.device("meta")


def _as_list(given: Any) -> list[Any]:
    if isinstance(given, list):
        return [*given]
    return [each for each in (given,) if each is not None]


def check_threads(owner: str, threads: int | None) -> None:
    """Refuse numbers of threads that torch would fail to start."""
    if threads is not None and not 1 <= threads <= MOST_PROCESSES:
        raise ValueError(
            f"{owner}: threads is {short_number(threads)}; give 1 to {MOST_PROCESSES}, or none to leave them as they "
            "are."
        )


class _Defaults(Callback):
    """Refuses what has no end or wrong gradients, sets torch's threads on a CPU, and keeps the precision."""

    def __init__(self, threads: int | None) -> None:
        self.threads = threads
        self._run, self._first_step = ExitStack(), ExitStack()
        self._padded = PaddedConvolutions()

    def setup(self, trainer: pytorch.Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            cast(Trainer, trainer).check_end(pl_module)
        if trainer.strategy.root_device.type == "cpu":
            self._run.enter_context(torch_threads(self.threads))

    def on_fit_start(self, trainer: pytorch.Trainer, pl_module: LightningModule) -> None:
        # Before the training, not at its first checkpoint.
        if isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO):
            for callback in trainer.checkpoint_callbacks:
                _refuse_address(getattr(callback, "dirpath", None) or "")

    def on_train_start(self, trainer: pytorch.Trainer, pl_module: LightningModule) -> None:
        cast(Trainer, trainer).begun = True
        self._padded = PaddedConvolutions()
        if trainer.precision == BF16 and trainer.strategy.root_device.type == "cpu":
            self._first_step.enter_context(self._padded)

    def on_train_batch_end(self, trainer: pytorch.Trainer, pl_module: LightningModule, *step: Any) -> None:
        self._first_step.close()
        if self._padded.found:  # before a checkpoint holds what the gradients have spoilt
            raise ValueError(
                f"{type(pl_module).__name__} has convolutions some of whose weights meet only padding, as their maps "
                f"are so small; on a CPU their gradients would be wrong in {BF16}: set the trainer's precision to "
                "32-true, or give larger images."
            )

    def teardown(self, trainer: pytorch.Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def on_exception(self, trainer: pytorch.Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        self._first_step.close()
        self._run.close()

    def on_save_checkpoint(
        self, trainer: pytorch.Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[PRECISION_KEY] = str(trainer.precision)

    def on_load_checkpoint(
        self, trainer: pytorch.Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        kept, used = checkpoint.get(PRECISION_KEY), str(trainer.precision)
        if trainer.training and isinstance(kept, str) and kept != used:
            warnings.warn(
                f"The checkpoint was trained in precision {printable(kept, 20)}, and this run has {used}: set the "
                "trainer's precision to that of the checkpoint to go on bit for bit.",
                stacklevel=2,
            )


@contextmanager
def apart_from_caller(device: torch.device) -> Iterator[None]:
    """Train on a device without a trace in the caller's random state, and rightly within the caller's autocast."""
    # Autocast keeps what it has cast until its outermost context ends. A training within it would take all steps with
    # the weights of the first one. Lightning's own mixed precision keeps nothing.
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.random.fork_rng(devices=[each for each in (device,) if each.type == "cuda"]):
            yield
    finally:
        torch.set_autocast_cache_enabled(before)
        torch.clear_autocast_cache()  # of what was cast before the training


@contextmanager
def quiet_trainer(device: torch.device, *, epochs: int = 1, callbacks: Sequence[Callback] = ()) -> Iterator[Trainer]:
    """Give a silent Trainer that stays on ``device``."""
    with apart_from_caller(device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        yield Trainer(
            accelerator=device.type,  # else a GPU's where the machine has one, which refuses a CPU
            strategy=SingleDeviceStrategy(device=device),
            max_epochs=epochs,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            threads=None,
        )
