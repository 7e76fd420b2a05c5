"""Counting what architectures have, into groups of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

import torch
from torch import Tensor


def counted(rows: Sequence[Mapping[str, Iterable[int]]], widths: Mapping[str, int]) -> Tensor:
    """Count features.

    Args:
        rows: for each architecture and group the places of what it has, repeated as often as it has it.
        widths: features of each group.

    Returns:
        Shape ``(n, d)``, float64.
    """
    starts: dict[str, int] = {}
    total = 0
    for name, width in widths.items():
        starts[name] = total
        total += width
    found = torch.zeros(len(rows), total, dtype=torch.float64)
    places = [
        (row, starts[name] + place) for row, groups in enumerate(rows) for name in groups for place in groups[name]
    ]
    if places:
        index = torch.tensor(places).T
        found.index_put_((index[0], index[1]), torch.ones(len(places), dtype=torch.float64), accumulate=True)
    return found


def bucket(words: Sequence[str], buckets: int) -> int:
    """A place for any sequence of words, the same in every process (Weinberger et al. 2009, feature hashing)."""
    return crc32(" ".join(words).encode()) % buckets
