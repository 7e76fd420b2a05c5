"""A Trainer within a search: on one given device, without a word or a file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
