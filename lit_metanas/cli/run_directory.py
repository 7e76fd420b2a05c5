"""The files of a run in its directory, its configuration, logs and checkpoints; and its run in W&B."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning import pytorch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from lit_metanas.io.files import read_regular, set_aside, write_whole
from lit_metanas.io.locks import is_further_process
from lit_metanas.io.yaml_files import read_yaml

RUN_ID, RUN_NAME, WANDB_MODE = "WANDB_RUN_ID", "WANDB_NAME", "WANDB_MODE"
"""Environment variables of W&B: a run's id and name, which win over ours, and whether it is offline."""


class SaveConfig(SaveConfigCallback):
    """Saves the configuration as ``config.<verb>.yaml`` in the run's directory; says what a resumed run changed."""

    def setup(self, trainer: pytorch.Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save it, but for a search, which may find that the directory holds another one."""
        if stage != "predict":
            super().setup(trainer, pl_module, stage)

    def on_predict_epoch_start(self, trainer: pytorch.Trainer, pl_module: LightningModule) -> None:
        """Save that of a search, which has looked at its directory."""
        super().setup(trainer, pl_module, "predict")

    def save_config(self, trainer: pytorch.Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file, on the first process."""
        config = self.config.clone()
        if config.trainer.get("threads") is None and trainer.strategy.root_device.type == "cpu":
            config.trainer["threads"] = torch.get_num_threads()  # those of this machine; other numbers with others
        text = self.parser.dump(config, skip_unset=True)
        path = Path(trainer.default_root_dir) / self.config_filename
        if path.is_file() and self.config.get("ckpt_path"):
            before, now = read_saved(path), dict(_leaves(yaml.safe_load(text)))
            names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
            if not before:
                warnings.warn(f"'{path}' is replaced: it was damaged.", stacklevel=2)
            elif changed := sorted(names - {"ckpt_path", "config"}):
                warnings.warn(f"'{path}' is replaced: this run changes {', '.join(changed)}.", stacklevel=2)
        write_whole(path, text)


def csv_logger(root: Path, verb: str) -> CSVLogger:
    """Logs to ``logs/<verb>``, or to ``logs/<verb>.1`` and so on where a previous run has left that."""
    names = itertools.chain([verb], (f"{verb}.{number}" for number in itertools.count(1)))
    return CSVLogger(root, "logs", next(name for name in names if not os.path.lexists(root / "logs" / name)))


def last_epoch(root: Path) -> ModelCheckpoint:
    """Keeps ``checkpoints/last.ckpt``, replaced whenever an epoch is complete."""
    return ModelCheckpoint(
        root / "checkpoints", filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )


def set_checkpoints_aside(root: Path) -> None:
    """Rename an earlier training's checkpoints: what is called the last one is to be of the training that begins."""
    if not is_further_process() and (aside := set_aside(root / "checkpoints")) is not None:
        print(f"lit-metanas: moved the checkpoints of an earlier training to {aside}")


def read_saved(path: Path) -> dict[str, object]:
    """The values of an earlier run's configuration, by their dotted keys; none where the file is damaged."""
    try:
        return dict(_leaves(read_yaml(path)))
    except (ValueError, RecursionError, yaml.YAMLError):
        return {}


def _leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}".removeprefix("."))
    elif prefix:
        yield prefix, tree


def wandb_in(root: Path, verb: str, loggers: Any, configured: Any, *, goes_on: bool) -> Any:
    """The loggers, those of W&B made anew: by default with their files in the run's directory, and its name and id."""
    if isinstance(loggers, list):
        return [wandb_in(root, verb, *pair, goes_on=goes_on) for pair in zip(loggers, configured, strict=True)]
    if type(loggers) is not WandbLogger:
        return loggers
    given = {**configured.init_args.as_dict(), **(configured.get("dict_kwargs") or {})}
    given = {name: value for name, value in given.items() if value is not None}
    if given["save_dir"] == "." and "dir" not in given:
        given["save_dir"] = str(root)
    if RUN_NAME not in os.environ:
        given.setdefault("name", f"{root} {verb}")
    first = getattr(rank_zero_only, "rank", 0) == 0
    if first and RUN_ID not in os.environ and not {"version", "id"} & given.keys():
        given["id"] = run_id(root / f"wandb.{verb}.id", goes_on=goes_on)
    return WandbLogger(**given)


def run_id(path: Path, *, goes_on: bool) -> str:
    """The id of a W&B run, kept in a file: the earlier one if the run goes on."""
    kept = ""
    if goes_on:
        with suppress(FileNotFoundError, ValueError):
            kept = read_regular(path, 1 << 20).decode().strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", kept):
        kept = secrets.token_hex(5)
        write_whole(path, f"{kept}\n")
    return kept


@contextmanager
def own_run() -> Iterator[None]:
    """Close the W&B run that the block opens, so that the next phase in this process gets a run of its own."""
    mode, users = os.environ.get(WANDB_MODE), getattr(sys.modules.get("wandb"), "run", None) is not None
    failed = 1
    try:
        yield
        failed = 0
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None and not users:
            wandb.finish(exit_code=failed)
        os.environ.pop(WANDB_MODE, None)  # Lightning's logger sets it
        if mode is not None:
            os.environ[WANDB_MODE] = mode
