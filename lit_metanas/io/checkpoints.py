"""Weights and checkpoints: read without executing code, written whole."""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED, LARGEST_PICKLE, check_pickle
from lit_metanas.io.files import existing_file, open_regular, replacing
from lit_metanas.io.text import printable

FIX = "give a checkpoint that `lit-metanas fit` wrote"


def load_plain(path: str | os.PathLike[str]) -> Any:
    """Tensors and plain values of a file of ``torch.save``, on the CPU; may raise any error in ``DAMAGED``."""
    with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
        size = os.fstat(stream.fileno()).st_size
        check_stored(archive, size)
        if (entry := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"The checksum of '{entry}' does not fit.")
        for own in archive.infolist():
            if own.filename.lower().endswith(".pkl"):  # torch, too, finds names whatever their case
                if own.file_size > LARGEST_PICKLE:
                    raise ValueError(f"holds more than {LARGEST_PICKLE >> 20} MB of values")
                check_pickle(archive.read(own))
        stream.seek(0)
        with warnings.catch_warnings(action="ignore"):  # about unusual files
            # Explicit: else an environment variable of torch's could turn it off.
            try:
                content = torch.load(stream, map_location="cpu", weights_only=True)
            except AssertionError as error:  # torch's answer to some steps that no writer takes
                raise ValueError("is damaged") from error
    check_plain(content, size)
    return content


def check_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive that torch would not write: nothing in one is compressed or larger than the file."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("is compressed")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("has entries that overlap")


# Values of a checkpoint, counted in each place where they stand, and levels of containers within each other.
MOST_VALUES, DEEPEST = 2_000_000, 50

_PLAIN = str | bytes | int | float | complex | bool | torch.dtype | torch.device | torch.memory_format | None


def check_plain(content: object, size: int) -> None:
    """Refuse tensors and containers that a checkpoint of ``size`` bytes cannot hold."""
    # A pickle may hold sparse tensors with indices outside of their memory, views that repeat a few numbers a billion
    # times, lists of lists that stand for billions of values, and a list that holds itself. Level by level, these
    # reach a limit before they take memory.
    level, number, total = [content], 1, 0
    for depth in range(DEEPEST + 1):
        inner: list[object] = []
        for value in level:
            if isinstance(value, Tensor):
                if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_nested:
                    raise ValueError("holds a tensor that is not dense")
                total += value.numel() * value.element_size()
            elif isinstance(value, Mapping | list | tuple | set | frozenset):
                parts = (*value.keys(), *value.values()) if isinstance(value, Mapping) else value
                number += len(parts)
                if number > MOST_VALUES:
                    raise ValueError("holds more values than there is room for")
                inner += parts
            elif not isinstance(value, _PLAIN):
                raise ValueError("holds more than plain values")
        if depth == DEEPEST and inner:
            raise ValueError(f"is nested deeper than {DEEPEST} levels")
        level = inner
    if total > 4 * size:  # torch writes what several tensors share only once
        raise ValueError("holds more values than there is room for")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "state_dict": Mapping,
    "pytorch-lightning_version": str,
    "epoch": int,
    "global_step": int,
    "loops": Mapping,
    "callbacks": Mapping,
    "optimizer_states": list,
    "lr_schedulers": list,
}
"""The parts of Lightning's checkpoints."""

_VERSION = re.compile(r"\d{1,4}(\.\d{1,8}){1,3}(\.?(a|b|rc|post|dev)\d{0,8}){0,2}(\+[\w.]{1,30})?")


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint of Lightning's Trainer; no code in it is executed."""
    if Path(path).is_dir():
        raise ValueError(f"The checkpoint '{path}' is a folder: give the file in it, for instance 'last.ckpt'.")
    file = existing_file(path, "checkpoint", FIX)
    try:
        content = load_plain(file)
    except pickle.UnpicklingError:
        raise ValueError(
            f"The checkpoint '{path}' was not loaded, since it is damaged or holds objects that would execute code: "
            f"{FIX}."
        ) from None
    except DAMAGED:
        raise ValueError(f"The checkpoint '{path}' is damaged or is another kind of file: {FIX}.") from None
    if not isinstance(content, dict) or not {"state_dict", "pytorch-lightning_version"} <= content.keys():
        raise ValueError(f"'{path}' is a file of tensors but not a Lightning checkpoint: {FIX}.")
    if content.get("hyper_parameters"):
        # Lightning lets them override the configuration and the command line, class paths included.
        raise ValueError(f"The checkpoint '{path}' holds hyper-parameters, which another program put there: {FIX}.")
    for name, kind in _KINDS.items():
        if name in content and not isinstance(content[name], kind):
            raise ValueError(f"The checkpoint '{path}' is damaged, its '{name}' is of another kind: {FIX}.")
    if not _VERSION.fullmatch(content["pytorch-lightning_version"]):
        raise ValueError(f"The checkpoint '{path}' is damaged, its Lightning version is invalid: {FIX}.")
    for name, tensor in content["state_dict"].items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise ValueError(
                f"The checkpoint '{path}' holds weights that are not numbers ('{printable(name, 80)}'): {FIX}."
            )
    return content


def finite_tensor(value: object, *shape: int) -> Tensor:
    """Check that a value is a tensor of finite numbers; -1 in ``shape`` stands for any length."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim != len(shape):
        raise ValueError("a tensor is missing, or of another kind or shape")
    if any(want not in (-1, have) for want, have in zip(shape, value.shape, strict=True)):
        raise ValueError("a tensor is of another shape")
    if not bool(value.isfinite().all()):
        raise ValueError("a tensor holds what is not finite")
    return value.detach()


def write_weights(path: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    """Write tensors by name as copies on the CPU, without the storages that they are views of."""
    with replacing(path) as temporary:
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in weights.items()}, temporary)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the file of ``write_weights``, onto the CPU; no code in it is executed."""
    file = existing_file(path, "weights file", "give the path of a file that a search wrote")
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


# Words that the Trainer resolves to a checkpoint, which is then read like any other.
KEYWORDS = ("last", "best", "hpc")


def check_checkpoint(path: str | os.PathLike[str], goes_on: bool = False) -> int | None:
    """Refuse an unusable checkpoint; returns its number of training steps, None if that is unknown."""
    if str(path) in KEYWORDS:
        return None
    content = read_checkpoint(path)
    if goes_on and not {"global_step", "loops", "optimizer_states"} <= content.keys():
        raise ValueError(
            f"The checkpoint '{path}' holds weights, but no training to resume: give one that `lit-metanas fit` wrote."
        )
    return content.get("global_step")
