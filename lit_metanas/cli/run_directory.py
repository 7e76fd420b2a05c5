"""The files of a run in its directory: configuration, logs, checkpoints."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from lightning import pytorch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

from lit_metanas.io.files import write_whole
from lit_metanas.io.locks import is_further_process
from lit_metanas.io.own_folder import set_aside
from lit_metanas.io.yaml_files import read_yaml


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
        text = self.parser.dump(config, skip_none=True)
        path = Path(trainer.default_root_dir) / self.config_filename
        if path.is_file() and self.config.get("ckpt_path"):
            before, now = dict(_leaves(_read_saved(path))), dict(_leaves(yaml.safe_load(text)))
            names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            changed = [name for name in names if name not in ("ckpt_path", "config")]
            if changed:
                how = f"this run changes {', '.join(changed)}" if "" not in before else "it was damaged"
                warnings.warn(f"'{path}' is replaced: {how}.", stacklevel=2)
        write_whole(path, text)


def csv_logger(root: Path, verb: str) -> CSVLogger:
    """Logs to ``logs/<verb>``, or to ``logs/<verb>.1`` and so on where a previous run has left that."""
    names = (verb if number == 0 else f"{verb}.{number}" for number in itertools.count())
    free = next(name for name in names if not os.path.lexists(root / "logs" / name))
    return CSVLogger(root, name="logs", version=free)


def last_epoch(root: Path) -> ModelCheckpoint:
    """Keeps ``checkpoints/last.ckpt``, replaced whenever an epoch is complete."""
    return ModelCheckpoint(
        root / "checkpoints", filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )


def set_checkpoints_aside(root: Path) -> None:
    """Rename an earlier training's checkpoints: what is called the last one is to be of the training that begins."""
    aside = None if is_further_process() else set_aside(root / "checkpoints")
    if aside is not None:
        print(f"lit-metanas: moved the checkpoints of an earlier training to {aside}")


def _read_saved(path: Path) -> object:
    """An earlier run's configuration; None where the file is damaged."""
    try:
        return read_yaml(path)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def _leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, tree
