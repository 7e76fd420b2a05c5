"""Checkpoints that are either whole or not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lit_metanas.atomic import replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the one that it replaces, and only then moves it there.

    Lightning writes it into the system's temporary folder first. Where a run's directory is on another disk, moving it
    means copying it, and a process that is killed meanwhile leaves a part of the only checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; an address on the network is left to Lightning."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        for part in target.parent.glob(f".{target.name}.*.part"):
            part.unlink(missing_ok=True)  # of a run that was killed: one process alone writes this file
        with replacing(target) as temporary:
            temporary.write_bytes(content.getbuffer())
