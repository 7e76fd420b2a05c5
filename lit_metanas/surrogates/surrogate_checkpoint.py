"""Checkpoints of meta-surrogates, in tensors and plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import load_plain
from lit_metanas.io.files import replacing
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encodings import Encoding
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.transfer import SourceGP, TransferSurrogate

SURROGATE_KEY = "lit_metanas_surrogate"
SURROGATE_SCHEMA = 1


def surrogate_entry(encoding: Encoding, surrogate: TransferSurrogate) -> dict[str, Any]:
    """The entry that goes into the checkpoint under ``SURROGATE_KEY``."""
    return {
        "schema": SURROGATE_SCHEMA,
        **_frame(encoding),
        "scales": surrogate.kernel.scales,
        "mean": surrogate.mean,
        "sources": [
            {**asdict(source), "elite": [architecture.to_json() for architecture in source.elite]}
            for source in surrogate.sources
        ],
    }


def write_surrogate(path: str | os.PathLike[str], encoding: Encoding, surrogate: TransferSurrogate) -> None:
    """Write, atomically, what ``read_surrogate`` reads, not a run to resume."""
    with replacing(path) as temporary:
        torch.save({SURROGATE_KEY: surrogate_entry(encoding, surrogate)}, temporary)


def read_surrogate(path: str | os.PathLike[str], encoding: Encoding) -> TransferSurrogate:
    """Read what ``fit`` of ``MetaSurrogate`` wrote, onto the CPU; no code in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of a newer version or of something else, or of another space or encoding.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{file}': give the path of one that `fit` wrote.")
    try:
        content = load_plain(file)
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.") from None
    return restored(content, encoding, str(file))


def restored(content: Any, encoding: Encoding, name: str) -> TransferSurrogate:
    """The surrogate of a loaded checkpoint.

    Raises:
        ValueError: as of ``read_surrogate``.
    """
    entry = content.get(SURROGATE_KEY) if isinstance(content, Mapping) else None
    if entry is None:
        raise ValueError(f"'{name}' is no meta-surrogate: give a checkpoint that `fit` of MetaSurrogate wrote.")
    try:
        if entry["schema"] > SURROGATE_SCHEMA:
            raise ValueError(f"'{name}' was written by a newer version of lit_metanas: upgrade.")
        theirs = {key: entry[key] for key in _frame(encoding)}
        sources = [_source(row) for row in entry["sources"]]
        kernel, mean = GroupedKernel(entry["widths"], entry["scales"]), entry["mean"]
    except (LookupError, TypeError, AttributeError, AssertionError):
        raise ValueError(f"'{name}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.") from None
    for key, ours in _frame(encoding).items():
        if theirs[key] != ours:
            raise ValueError(
                f"'{name}' was fitted with another {key} than {ours}: give the space and encoding of its `fit`."
            )
    return TransferSurrogate(kernel, sources, mean)


def _frame(encoding: Encoding) -> dict[str, Any]:
    """What checkpoint and search must have in common."""
    return {
        "encoding": type(encoding).__name__,
        "space": encoding.space.name,
        "choices": {choice.name: list(choice.labels) for choice in encoding.space.choices},
        "widths": list(encoding.groups),
    }


def _source(row: Mapping[str, Any]) -> SourceGP:
    elite = tuple(Architecture(labels) for labels in row["elite"])
    return SourceGP(**{**row, "elite": elite, "cost": Cost(**row["cost"])})
