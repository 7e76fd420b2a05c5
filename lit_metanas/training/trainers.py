"""Trainers of inner runs, and validations that start again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy


@contextmanager
def quiet_trainer(device: torch.device, *, epochs: int = 1, callbacks: Sequence[Callback] = ()) -> Iterator[Trainer]:
    """Give a silent Trainer that stays on ``device``; the caller's random state is left as it was."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda")
    levels = {name: logging.getLogger(name).level for name in names}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for name in names:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield Trainer(
                accelerator=device.type,  # else a GPU's where the machine has one, which refuses a CPU
                strategy=SingleDeviceStrategy(device=device),
                max_epochs=epochs,
                callbacks=list(callbacks),
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def validate_anew(checkpoint: dict[str, Any]) -> None:
    """Mark a validation in whose middle a checkpoint was written as not begun.

    Lightning would go on in its middle or skip it, and the scores of the batches before are lost.

    Args:
        checkpoint: of Lightning, before it restores its loops from it.
    """
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.val_loop.batch_progress")
    if progress is None:
        return
    current = progress["current"]
    if current["completed"] < current["ready"] or (current["ready"] and not progress["is_last_batch"]):
        progress["current"] = dict.fromkeys(current, 0)
        # One begun batch: to Lightning a validation to finish.
        progress["total"] = {**dict.fromkeys(progress["total"], 0), "ready": 1, "started": 1}
