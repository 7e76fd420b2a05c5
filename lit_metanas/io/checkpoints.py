"""Weights and checkpoints: read without executing code, written whole."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import replacing


def load_plain(path: str | os.PathLike[str]) -> Any:
    """Tensors and plain values of a file that ``torch.save`` wrote, onto the CPU; no code in it is executed.

    Checksums are compared, which torch leaves out: it would take a flipped bit for a weight. A file that is no archive
    is not unpickled at all.

    Raises:
        Exception: one of ``DAMAGED``; ``UnpicklingError`` for an archive of objects that would execute code.
    """
    with zipfile.ZipFile(path) as archive:
        if (entry := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"The checksum of '{entry}' does not fit.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about unusual files
        return torch.load(path, map_location="cpu", weights_only=True)


def write_weights(path: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    """Write tensors by name, on the CPU and without the storages they are views of, atomically."""
    plain = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        torch.save(plain, temporary)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read what ``write_weights`` wrote, onto the CPU; no code in the file is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds anything but tensors by name.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no weights file '{file}': give the path of a file that a search wrote.")
    refusal = ValueError(
        f"'{file}' is damaged or holds more than plain tensors, and was not loaded: give a weights file that a "
        "search wrote."
    )
    try:
        weights = load_plain(file)
    except DAMAGED:
        raise refusal from None
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()
    ):
        raise refusal
    return weights


def tensor_digest(*tensors: Tensor) -> str:
    """A digest of shapes, types and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(flat.shape)} {flat.dtype}".encode())
        digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


KEYWORDS = ("last", "best", "hpc")
"""What the Trainer resolves to a checkpoint by itself."""


def check_checkpoint(path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint that is missing, damaged, foreign, or would execute code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be used; the sentence says why.
    """
    if str(path) in KEYWORDS:
        return
    file = Path(path)
    fix = "give a checkpoint that `lit-metanas fit` wrote"
    if "://" in str(path):
        raise ValueError(f"The checkpoint '{path}' is not on this machine: download it and give its path.")
    if file.is_dir():
        raise ValueError(f"The checkpoint '{path}' is a folder: give the file in it, for instance 'last.ckpt'.")
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{path}': {fix}.")
    try:
        content = load_plain(file)
    except pickle.UnpicklingError:
        raise ValueError(
            f"The checkpoint '{path}' was not loaded, since it is damaged or holds objects that would execute code: "
            f"{fix}."
        ) from None
    except DAMAGED:
        raise ValueError(f"The checkpoint '{path}' is damaged or is another kind of file: {fix}.") from None
    if not isinstance(content, dict) or not {"state_dict", "pytorch-lightning_version"} <= content.keys():
        raise ValueError(f"'{path}' is a file of tensors but not a Lightning checkpoint: {fix}.")
    if content.get("hyper_parameters"):
        # Lightning lets them override the configuration and the command line, class paths included.
        raise ValueError(f"The checkpoint '{path}' holds hyper-parameters, which another program put there: {fix}.")


def step_of_training(path: str | os.PathLike[str]) -> int:
    """How many steps the training of a checkpoint has done.

    Raises:
        ValueError: the checkpoint holds weights, but no training that can go on.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not {"global_step", "loops", "optimizer_states"} <= content.keys():
        raise ValueError(
            f"The checkpoint '{path}' holds weights, but no training to go on with: give one that `lit-metanas fit` "
            "wrote."
        )
    return int(content["global_step"])


class AtomicCheckpointIO(TorchCheckpointIO):
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
