"""Where examples are kept: in memory, or in files on disk that the system maps into it."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from math import inf, prod
from pathlib import Path
from weakref import finalize

import torch
from torch import Tensor

from lit_metanas.io.cores import control_groups
from lit_metanas.io.text import writable

USUAL_SHARE = 0.5  # the share of the free memory that examples may take by default

_MEMINFO = Path("/proc/meminfo")


class ExampleMemory:
    """Room for examples of up to so many bytes; what goes beyond them lies in files on disk."""

    # The files have no names, so that they are gone when the examples are, even after a crash.

    def __init__(self, most: float | None = None, folder: Path | None = None) -> None:
        self.most = USUAL_SHARE * free_memory() if most is None else most
        self.folder = folder or Path(tempfile.gettempdir())
        self.held = 0  # bytes that tensors take in memory now

    def empty(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """A tensor of any values."""
        if not (size := prod(shape) * dtype.itemsize):
            return torch.empty(shape, dtype=dtype)
        if self.held + size > self.most:
            mapped = self._file(size)
        else:
            mapped = mmap.mmap(-1, size)
            self.held += size
            finalize(mapped, self._freed, size)  # the tensor, and each part of it, keeps what is mapped
        return torch.frombuffer(mapped, dtype=dtype, count=prod(shape)).reshape(shape)

    def _freed(self, size: int) -> None:
        self.held -= size

    def _file(self, size: int) -> mmap.mmap:
        try:
            with tempfile.TemporaryFile(dir=self.folder, prefix="examples-") as file:
                if size > shutil.disk_usage(self.folder).free:
                    raise OSError("it has too little space")
                if hasattr(os, "posix_fallocate"):  # else a disk that fills up later would end the process
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                return mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise ValueError(
                f"The examples take {(self.held + size) / 1e6:,.0f} MB, max_memory is {self.most / 1e6:,.0f} MB, and "
                f"'{writable(str(self.folder))}' cannot hold the rest ({error}): free some space there, name another "
                "folder by the environment variable TMPDIR, or raise max_memory."
            ) from None


def free_memory() -> float:
    """Bytes that processes may still take, on this machine and in the groups of this one (cgroup v2); or infinity."""
    return max(0.0, min([_available(), *map(_left, control_groups())]))


def _available() -> float:
    """What the machine has, without swapping."""
    try:
        return _numbers(_MEMINFO)["MemAvailable:"] * 1024
    except (OSError, KeyError):
        if sys.platform == "win32" or "SC_PHYS_PAGES" not in os.sysconf_names:
            return inf
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _left(group: Path) -> float:
    """What a group may still take: the files that the system keeps in memory for it make room."""
    try:
        most, taken = (float((group / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = _numbers(group / "memory.stat")
        return most - taken + kept.get("inactive_file", 0.0) + kept.get("active_file", 0.0)
    except (OSError, ValueError):  # no limit is the word max
        return inf


def _numbers(file: Path) -> dict[str, float]:
    rows = [line.split() for line in file.read_text().splitlines()]
    return {row[0]: float(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def arranged(inputs: Tensor, parts: list[Tensor]) -> list[Tensor]:
    """Parts of the rows of inputs, each by its places; the rows are moved within the memory that they have."""
    # No place may stand twice. The parts lie one behind the other, so that `in_one_piece` joins them without a copy.
    order, rows = torch.cat(parts).tolist(), inputs.view(len(inputs), -1).numpy()
    source = [*order, *sorted({*range(len(rows))} - {*order})]  # row number ``place`` comes from ``source[place]``
    for begin in range(len(source)):
        if source[begin] == begin:
            continue
        kept, place = rows[begin].copy(), begin
        while (following := source[place]) != begin:
            rows[place] = rows[following]
            source[place] = place
            place = following
        rows[place] = kept
        source[place] = place
    return list(inputs[: len(order)].split([len(part) for part in parts]))


def in_one_piece(parts: Sequence[Tensor]) -> Tensor | None:
    """The rows of parts that lie one behind the other in memory as one tensor, without a copy; None of others."""
    first, behind = parts[0], parts[0].storage_offset()
    memory = first.untyped_storage().data_ptr()
    for part in parts:
        alike = part.dtype == first.dtype and part.shape[1:] == first.shape[1:] and part.is_contiguous()
        if not alike or part.untyped_storage().data_ptr() != memory or part.storage_offset() != behind:
            return None
        behind += part.numel()
    return first.as_strided((sum(map(len, parts)), *first.shape[1:]), first.stride())
