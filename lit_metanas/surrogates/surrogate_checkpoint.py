"""Checkpoints of meta-surrogates, in tensors and plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import finite_tensor, load_plain
from lit_metanas.io.files import replacing
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import from_plain
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
    """Write atomically for ``read_surrogate``; no run can be resumed from it."""
    with replacing(path) as temporary:
        torch.save({SURROGATE_KEY: surrogate_entry(encoding, surrogate)}, temporary)


def read_surrogate(path: str | os.PathLike[str], encoding: Encoding) -> TransferSurrogate:
    """Read a checkpoint that ``fit`` of ``MetaSurrogate`` wrote, onto the CPU, without executing code."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{file}': give the path of one that `fit` wrote.")
    try:
        content = load_plain(file)
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.") from None
    return restore_surrogate(content, encoding, str(file))


def restore_surrogate(content: Any, encoding: Encoding, name: str) -> TransferSurrogate:
    """The surrogate of a loaded checkpoint; ValueError if it is damaged, newer, or of another space or encoding."""
    if not isinstance(content, Mapping) or content.get(SURROGATE_KEY) is None:
        raise ValueError(f"'{name}' is not a meta-surrogate: give a checkpoint that `fit` of MetaSurrogate wrote.")
    entry = content[SURROGATE_KEY]
    damaged = ValueError(f"'{name}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.")
    if not isinstance(entry, Mapping):
        raise damaged
    schema = entry.get("schema")
    if isinstance(schema, int) and schema > SURROGATE_SCHEMA:
        raise ValueError(f"'{name}' was written by a newer version of lit_metanas: upgrade.")
    if not {"schema", *_frame(encoding)} <= entry.keys():
        raise damaged
    for key, ours in _frame(encoding).items():
        try:
            same = json.dumps(entry[key]) == json.dumps(ours)
        except (TypeError, ValueError, RecursionError):
            raise damaged from None
        if not same:
            raise ValueError(
                f"'{name}' was fitted with another {key} than {str(ours)[:200]}: give the space and encoding of its "
                "`fit`."
            )
    try:
        groups = len(encoding.groups)
        scales, mean = finite_tensor(entry["scales"], groups), finite_tensor(entry["mean"], groups + 2)
        if bool((scales <= 0).any()):
            raise ValueError("a scale is not positive")
        sources = [_source(row, encoding) for row in entry["sources"]]
        if len({len(source.embedding) for source in sources} - {0}) > 1:
            raise ValueError("the sources have embeddings of several lengths")
    except DAMAGED as error:
        raise damaged from error
    return TransferSurrogate(GroupedKernel(encoding.groups, scales), sources, mean)


def _frame(encoding: Encoding) -> dict[str, Any]:
    """The values that checkpoint and search must share."""
    return {
        "encoding": type(encoding).__name__,
        "space": encoding.space.name,
        "choices": {choice.name: list(choice.labels) for choice in encoding.space.choices},
        "widths": list(encoding.groups),
    }


def _source(row: Mapping[str, Any], encoding: Encoding) -> SourceGP:
    """Read one source; one of ``DAMAGED`` if a part is missing or does not fit."""
    features = finite_tensor(row["features"], -1, sum(encoding.groups))
    source = SourceGP(
        task_id=row["task_id"],
        parameters=finite_tensor(row["parameters"], len(encoding.groups) + 2).double(),
        features=features.double(),
        weights=finite_tensor(row["weights"], len(features)).double(),
        location=float(row["location"]),
        spread=float(row["spread"]),
        candidates=finite_tensor(row["candidates"], -1).double(),  # a search may have other candidates
        embedding=finite_tensor(row["embedding"], -1).double(),
        elite=tuple(encoding.space.canonical(labels) for labels in row["elite"]),
        cost=from_plain(Cost, row["cost"], "its cost"),
    )
    if not isinstance(source.task_id, str) or not isfinite(source.location) or not 0 < source.spread < inf:
        raise ValueError("a source has no name, or is not scaled")
    return source
