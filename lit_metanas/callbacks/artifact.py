"""Architectures as an artifact of a Weights & Biases run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lightning.pytorch.loggers import Logger, WandbLogger


def keep_architectures(loggers: Iterable[Logger], path: Path) -> None:
    """Attach an ``architectures.json`` to the runs of those loggers that are W&B's; without the file do nothing.

    An offline run keeps its artifact beside itself until ``wandb sync`` uploads both.

    Args:
        loggers: the trainer's.
        path: the file.
    """
    takers = [logger for logger in loggers if isinstance(logger, WandbLogger)]
    if not takers or not path.is_file():
        return
    import wandb

    for logger in takers:
        run = logger.experiment
        artifact = wandb.Artifact(f"architectures-{run.id}", type="architecture")
        artifact.add_file(str(path), name="architectures.json")
        run.log_artifact(artifact)
