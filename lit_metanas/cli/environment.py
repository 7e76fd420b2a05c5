"""The process's environment: its process group, and the W&B run of a folder."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lit_metanas.io.files import read_regular, write_whole


def leave_process_group() -> None:
    """End the process group of a finished job: threads of it that outlive the interpreter abort the process."""
    if "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


ID, NAME, CURVES = "WANDB_RUN_ID", "WANDB_NAME", "WANDB_MAX_END_OF_RUN_HISTORY_METRICS"
"""Environment variables by which W&B is told a run's id, its name, and how many curves to print at the end; those that
the user has set are left alone."""


def in_run_directory(loggers: Any, configured: Any, root: Path) -> Any:
    """The loggers, those of W&B with their files in the run's directory where no folder was configured.

    Args:
        loggers: the trainer's argument: one logger, several, or none.
        configured: what it was made of.
        root: the run's directory.
    """
    if isinstance(loggers, list):
        return [in_run_directory(*each, root) for each in zip(loggers, configured, strict=True)]
    from lightning.pytorch.loggers import WandbLogger

    if type(loggers) is not WandbLogger or configured.init_args.save_dir != "." or configured.init_args.dir:
        return loggers
    given = {**configured.init_args.as_dict(), **(configured.get("dict_kwargs") or {}), "save_dir": str(root)}
    return WandbLogger(**{name: value for name, value in given.items() if value is not None})


def name_run(loggers: object, root: Path, verb: str, *, goes_on: bool) -> None:
    """Give the coming W&B run its id and name; without a W&B logger, and on further processes, do nothing.

    The id is kept in ``wandb.<verb>.id`` in the run's directory.

    Args:
        loggers: the trainer's argument: one logger, several, or none.
        root: the run's directory.
        verb: what is run there.
        goes_on: whether it resumes what was begun there, and so takes the id that was kept.
    """
    from lightning.pytorch.loggers import WandbLogger
    from lightning.pytorch.utilities import rank_zero_only

    several = loggers if isinstance(loggers, Iterable) else [loggers]
    further = getattr(rank_zero_only, "rank", 0) > 0
    if further or not any(isinstance(logger, WandbLogger) for logger in several):
        return
    os.environ.setdefault(NAME, f"{root} {verb}")
    os.environ.setdefault(CURVES, "0")  # of the choices, in the alphabet before all others
    if ID in os.environ:
        return
    path = root / f"wandb.{verb}.id"
    kept = ""
    if goes_on and path.is_file():
        with suppress(ValueError):
            kept = read_regular(path, 1 << 20).decode().strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", kept):
        kept = secrets.token_hex(5)
        write_whole(path, f"{kept}\n")
    os.environ[ID] = kept


@contextmanager
def own_run() -> Iterator[None]:
    """Close the W&B run that the block opens, so that the next phase in this process gets a run of its own."""
    before = {
        name: os.environ.get(name) for name in (ID, NAME, CURVES, "WANDB_MODE")
    }  # Lightning's logger sets the last
    wandb = sys.modules.get("wandb")
    users = wandb is not None and wandb.run is not None
    if wandb is not None and not users:
        wandb.teardown()  # W&B reads the environment once; this makes it look again
    failed = 1
    try:
        yield
        failed = 0
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None and not users:
            wandb.finish(exit_code=failed)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
