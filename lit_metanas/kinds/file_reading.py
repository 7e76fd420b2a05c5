"""Files of examples: by several threads, into a memory of a limited size, and only as many as there is time for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from math import ceil, floor
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.example_memory import ExampleMemory
from lit_metanas.io.cores import own_cores
from lit_metanas.io.text import first_few, writable
from lit_metanas.tasks.task import warn_of_data

READ_AT_ONCE, TAKEN_AT_ONCE = 1024, 16
"""Files whose inputs wait to be put in their place, and those that a thread takes at once."""

FIRST_FILES, TIMED_FILES = 16, 256
"""Files that are read before the clock is looked at, since the first one loads what reads it; and while it runs."""

SHARE_STEP = 0.001
"""What the share of the files is rounded to, as a person can copy it."""

FEWEST_SAMPLED, FEWEST_GROUPS = 10, 3
"""Files of a class, and groups with such, that are read even if there is no time."""


class ReadFiles(NamedTuple):
    """Inputs in the order of their files, and the files of each class."""

    inputs: Tensor  # (n, ...)
    files: dict[str, list[Path]]

    @property
    def places(self) -> dict[str, Tensor]:
        """The places of the inputs of each class."""
        sizes = [len(own) for own in self.files.values()]
        return dict(zip(self.files, torch.arange(sum(sizes)).split(sizes), strict=True))


@dataclass
class FileReading:
    """Reads files, as one call of ``auto`` does for all preprocessings.

    Attributes:
        memory: holds the inputs.
        share: of the files of each class that are read; None is all, or as many as there is time for.
        until: the clock when all must have been read; None takes any time.
    """

    memory: ExampleMemory = field(default_factory=ExampleMemory)
    share: float | None = None
    until: float | None = None
    sampled: set[Path] = field(default_factory=set)  # the files that are read, if others are left out
    found: int = 0  # files that there are, if others are left out

    def sample(
        self,
        classes: Mapping[str, Sequence[Path]],
        read: Callable[[Path], Tensor],
        groups: Mapping[Path, str],
        *,
        further: int = 0,
    ) -> dict[str, list[Path]]:
        """The files of each class that are read: the same share of each, groups as a whole.

        Args:
            classes: all files.
            read: makes an input of a file, and is timed on some of them.
            groups: of files, if they have any.
            further: files that are read after these.
        """
        files = [*chain.from_iterable(classes.values())]
        if self.share is None:
            self.share = self._affordable(files, read, len(files) + further)
        if self.share >= 1:
            return {name: [*own] for name, own in classes.items()}
        chosen = _chosen(classes, groups, self.share)
        if not self.sampled >= chosen:
            self.sampled |= chosen
            self.found += len(files)
        return {name: [file for file in own if file in chosen] for name, own in classes.items()}

    def leaves_out(self, file: Path) -> bool:
        """Whether others were read in its place."""
        return bool(self.sampled) and file not in self.sampled

    def inputs(
        self,
        classes: Mapping[str, Sequence[Path]],
        read: Callable[[Path], Tensor],
        noun: str,
        *,
        skip_unreadable: bool,
    ) -> ReadFiles:
        """The inputs of all files; unreadable ones are left out, with a warning.

        Raises:
            ValueError: one is unreadable and none may be left out, or all are unreadable.
        """
        files = [*chain.from_iterable(classes.values())]
        inputs, kept, unreadable = torch.zeros(0), list[bool](), list[str]()
        with ThreadPoolExecutor(own_cores()) as pool:
            for file, found in zip(files, _in_order(pool, read, files), strict=True):
                kept.append(isinstance(found, Tensor))
                if isinstance(found, Tensor):
                    if not len(inputs):
                        inputs = self.memory.empty(len(files), *found.shape, dtype=found.dtype)
                    inputs[len(kept) - len(unreadable) - 1] = found
                    continue
                unreadable.append(f"'{writable(str(file))}'")
                if not skip_unreadable or len(unreadable) == len(files):
                    raise found
        if unreadable:
            verb = "is" if len(unreadable) == 1 else "are"
            number = f"{len(unreadable)} of {len(files)} {noun}"
            warn_of_data(f"{number} cannot be read and {verb} left out: {first_few(unreadable)}.")
        left = iter(kept)
        readable = {name: [file for file in own if next(left)] for name, own in classes.items()}
        return ReadFiles(inputs[: sum(kept)], readable)

    def _affordable(self, files: Sequence[Path], read: Callable[[Path], Tensor], number: int) -> float:
        """The share of so many files that can be read in time."""
        if self.until is None or len(files) <= FIRST_FILES + TIMED_FILES:
            return 1.0
        places = np.linspace(0, len(files) - 1, FIRST_FILES + TIMED_FILES).round().astype(int)
        some = [files[place] for place in np.random.default_rng(0).permutation(places)]
        with ThreadPoolExecutor(own_cores()) as pool:
            deque(_in_order(pool, read, some[:FIRST_FILES]), maxlen=0)
            begin = perf_counter()
            deque(_in_order(pool, read, some[FIRST_FILES:]), maxlen=0)
        each = (perf_counter() - begin) / TIMED_FILES
        share = max(0.0, self.until - perf_counter()) / (each * number)
        return min(1.0, max(SHARE_STEP, floor(share / SHARE_STEP) * SHARE_STEP))


def _in_order(
    pool: ThreadPoolExecutor, read: Callable[[Path], Tensor], files: Sequence[Path]
) -> Iterator[Tensor | ValueError]:
    """The inputs of files, or why they cannot be read."""
    for start in range(0, len(files), READ_AT_ONCE):
        some = files[start : start + READ_AT_ONCE]
        together = [some[place : place + TAKEN_AT_ONCE] for place in range(0, len(some), TAKEN_AT_ONCE)]
        yield from chain.from_iterable(pool.map(partial(_tried, read), together))


def _tried(read: Callable[[Path], Tensor], files: Sequence[Path]) -> list[Tensor | ValueError]:
    """The inputs of files, or why they cannot be read."""
    found = list[Tensor | ValueError]()
    for file in files:
        try:
            found.append(read(file))
        except ValueError as error:
            found.append(error)
    return found


def _chosen(classes: Mapping[str, Sequence[Path]], groups: Mapping[Path, str], share: float) -> set[Path]:
    """Some files of each class: whole groups until there are enough; small classes come first."""
    members: dict[str | Path, list[Path]] = {}
    for file in chain.from_iterable(classes.values()):
        members.setdefault(groups.get(file, file), []).append(file)
    chosen, taken = set[Path](), set[str | Path]()
    for files in sorted(classes.values(), key=len):
        own = list(dict.fromkeys(groups.get(file, file) for file in files))
        enough = min(len(files), max(FEWEST_SAMPLED, ceil(share * len(files))))
        number = sum(file in chosen for file in files)
        at_least = sum(one in taken for one in own)
        order = np.random.default_rng((len(files), len(own))).permutation(len(own))
        within = set(files)
        for place in order:
            one = own[place]
            if number >= enough and at_least >= FEWEST_GROUPS:
                break
            if one not in taken:
                taken.add(one)
                chosen.update(members[one])
                number += len(within.intersection(members[one]))
                at_least += 1
    return chosen
