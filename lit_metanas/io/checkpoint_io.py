"""How a Trainer of Lightning writes and reads checkpoints."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lit_metanas.io.checkpoints import read_checkpoint
from lit_metanas.io.files import write_whole
from lit_metanas.io.own_folder import remove_partial


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole, reads them without executing code, and removes only those in its own folders."""

    # Lightning writes a checkpoint into the system's temporary folder and then moves it. To another disk it is copied:
    # a process that is killed meanwhile leaves a part of the only checkpoint.

    def __init__(self) -> None:
        super().__init__()
        self._folders: set[str] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; Lightning writes to addresses on the network."""
        self._folders.add(_folder(path))
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        remove_partial(target.parent, target.name)  # of a run that was killed: one process alone writes this file
        write_whole(target, content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, location: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint by ``read_checkpoint``; ``weights_only`` has no effect."""
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only=True)
        return read_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint's file, if it lies in a folder to which this object has written one."""
        # Lightning removes whatever path an earlier checkpoint names as its predecessor, even whole folders.
        if _folder(path) not in self._folders:
            warnings.warn(f"'{path}' was not removed: this run has written no checkpoint there.", stacklevel=2)
        elif "://" in str(path):
            super().remove_checkpoint(path)
        elif not Path(path).is_dir() or Path(path).is_symlink():
            Path(path).unlink(missing_ok=True)


def _folder(path: str | Path) -> str:
    """The folder of a file, behind all links; of an address the part before its last slash."""
    text = str(path)
    if "://" in text:
        return text.rpartition("/")[0]
    return str(Path(text).parent.resolve())
