"""What a process sets for torch: the memory allocator, threads, the usual type of numbers."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import dtype

# Environment variable: `0` leaves the allocator as it is.
SWITCH = "LIT_METANAS_ALLOCATOR"

# How torch, oneDNN and CUDA's libraries say that memory has run out.
_NO_MEMORY = (
    "can't allocate memory", "not enough memory", "could not create a memory", "could not create a primitive",
    "out of memory", "ALLOC_FAILED",
)  # fmt: skip

_KEEP = 1 << 30
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_PAD = 64 << 20


def tune_allocator() -> bool:
    """Let glibc reuse freed memory instead of returning it to the system.

    By default glibc maps every large tensor anew and unmaps it when it is freed. Each step of a small network then
    faults ten thousand pages in again, which takes almost half of the step's time. With high thresholds tensors come
    from the heap, which keeps its pages. The peak memory is the same, and the steps are nearly twice as fast.

    Call it before the first large tensor; the command line does so. It changes nothing on a machine with an
    accelerator or with another C library than glibc.

    Returns:
        Whether the allocator was tuned.

    Example:
        >>> tuned = lm.io.tune_allocator()  # at the start of a program that trains on a CPU
    """
    if os.environ.get(SWITCH, "1") == "0" or platform.libc_ver()[0] != "glibc":
        return False
    import torch  # a second, which the help of the command line does without

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or torch.accelerator.is_available():
        return False
    settings = ((_M_MMAP_THRESHOLD, _KEEP), (_M_TRIM_THRESHOLD, _KEEP), (_M_TOP_PAD, _PAD))
    # All three are set, even if one is refused.
    accepted = [mallopt(ctypes.c_int(option), ctypes.c_int(value)) == 1 for option, value in settings]
    return all(accepted)


@contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """Give torch so many threads, and put back what it had; None leaves them as they are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def default_dtype(kind: dtype) -> Iterator[None]:
    """Give new tensors this type of floating-point numbers, and put back the type before."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory has run out, by a type that torch has for accelerators alone, or by what an error says."""
    by_type = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return by_type or (isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY))
