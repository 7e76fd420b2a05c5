"""Files of examples: read side by side, into a memory of a limited size, and only as many as there is time for."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from math import ceil, floor, inf
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.example_memory import ExampleMemory
from lit_metanas.io.cores import end_with_parent, own_cores
from lit_metanas.io.text import first_few, writable
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.task import warn_of_data

# Files that a process or thread takes at once, and the number of files from which on processes are worth their start.
TAKEN_AT_ONCE, MANY_TO_READ = 16, 500

# The first files are not timed, since they load what reads them; so many after them are.
FIRST_FILES, TIMED_FILES = 16, 256

# The share of the files is rounded to this, so that a person can copy it.
SHARE_STEP = 0.001

# Files of each class, and groups with such files, that are read even if there is no time.
FEWEST_SAMPLED, FEWEST_GROUPS = 10, 3


# Makes an input of a file; one that is unreadable is a ValueError.
FileReader: TypeAlias = Callable[[Path], Tensor]

_Found: TypeAlias = NDArray[Any] | ValueError


@dataclass
class FileReading:
    """Reads files, as one call of ``auto`` does for all preprocessings."""

    memory: ExampleMemory = field(default_factory=ExampleMemory)
    share: float | None = None  # of the files of each class; None is all, or as many as there is time for
    until: float = inf  # the clock when all must have been read
    least: float = 0.0  # seconds that reading may take in any case
    sampled: set[Path] = field(default_factory=set)  # the files that are read, if others are left out
    found: int = 0  # files that there are, if others are left out

    def sample(
        self,
        classes: Mapping[str, Sequence[Path]],
        read: FileReader,
        groups: Mapping[Path, str],
        *,
        further: int = 0,
        counted: bool = False,
    ) -> dict[str, list[Path]]:
        """The files of each class that are read: the same share of each, groups as a whole."""
        files = [*chain.from_iterable(classes.values())]
        if self.share is None:
            self.share = self._affordable(files, read, len(files) + further, counted)
        if self.share >= 1:
            return {name: [*own] for name, own in classes.items()}
        chosen = _chosen(classes, groups, self.share)
        if not self.sampled >= chosen:
            self.sampled |= chosen
            self.found += len(files)
        return {name: [file for file in own if file in chosen] for name, own in classes.items()}

    def inputs(
        self,
        files: Sequence[Path],
        read: FileReader,
        noun: str,
        *,
        skip_unreadable: bool,
        counted: bool = False,
    ) -> tuple[Tensor, list[Path]]:
        """The inputs ``(n, ...)`` of all files that can be read, and these files; a warning names the others."""
        # Where files are `counted` by what reads them, threads read them, and no processes.
        inputs, readable, unreadable = torch.zeros(0), list[Path](), list[str]()
        with _readers(len(files), counted) as taken:
            for file, found in zip(files, taken(read, files), strict=True):
                if isinstance(found, ValueError):
                    unreadable.append(f"'{writable(str(file))}'")
                    if not skip_unreadable or len(unreadable) == len(files):
                        raise found
                    continue
                row = torch.from_numpy(found)
                if not readable:
                    inputs = self.memory.empty(len(files), *row.shape, dtype=row.dtype)
                inputs[len(readable)] = row
                readable.append(file)
        if unreadable:
            verb = ("is", "are")[len(unreadable) > 1]
            warn_of_data(
                f"{len(unreadable)} of {len(files)} {noun} cannot be read and {verb} left out: {first_few(unreadable)}."
            )
        return inputs[: len(readable)], readable

    def _affordable(self, files: Sequence[Path], read: FileReader, number: int, counted: bool) -> float:
        """The share of so many files that can be read in time."""
        if self.until == inf or len(files) <= FIRST_FILES + TIMED_FILES:
            return 1.0
        places = np.linspace(0, len(files) - 1, FIRST_FILES + TIMED_FILES).round().astype(int)
        some, begin = [files[place] for place in np.random.default_rng(0).permutation(places)], 0.0
        with _readers(number, counted) as taken:
            for place, _ in enumerate(taken(read, some)):
                if place == FIRST_FILES - 1:
                    begin = perf_counter()
            each = (perf_counter() - begin) / TIMED_FILES
        share = max(self.least, self.until - perf_counter()) / (each * number)
        return min(1.0, max(SHARE_STEP, floor(share / SHARE_STEP) * SHARE_STEP))


@contextmanager
def _readers(number: int, counted: bool) -> Iterator[Callable[[FileReader, Sequence[Path]], Iterator[_Found]]]:
    """What reads files in order: as many processes as there are cores; or threads, if they are counted or few."""
    pool: Executor | None = None
    if own_cores() > 1:
        pool = ThreadPoolExecutor(own_cores())
        if not counted and number >= MANY_TO_READ and sys.platform == "linux":
            # The work of small images is Python's own, of which threads do one at a time.
            pool = ProcessPoolExecutor(own_cores(), get_context("fork"), _begin)

    def taken(read: FileReader, files: Sequence[Path]) -> Iterator[_Found]:
        together = [files[place : place + TAKEN_AT_ONCE] for place in range(0, len(files), TAKEN_AT_ONCE)]
        work = map if pool is None else pool.map
        with warnings.catch_warnings():  # of threads, which hold no lock that a process needs
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            found = work(partial(_tried, read), together)
        return chain.from_iterable(found)

    try:
        yield taken
    except BrokenProcessPool:
        raise MemoryError("a process that read files was killed") from None
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Begin a process: signals come to all, and the main one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    torch.set_num_threads(1)  # others do not survive a fork


def _tried(read: FileReader, files: Sequence[Path]) -> list[_Found]:
    """The inputs of files as arrays, which are quicker to send than tensors, or why they cannot be read."""
    found = list[_Found]()
    for file in files:
        try:
            found.append(read(file).numpy())
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


@dataclass(frozen=True)
class Source:
    """What the examples of a path are read by.

    Attributes:
        path: a file or a folder.
        test: the path of the test part; None takes some of the examples.
        group: which examples belong together, see ``auto``.
        label: the column of labels of a table; None finds it by its name.
        least: examples of the smallest class that is kept.
        targets: what labels are learned as; None looks at them.
        prepared: what makes inputs of the examples; None is the usual one.
        side: pixels of each side of images; None is the usual number.
        window: seconds of sounds that networks take at once; None is the usual number.
        reading: reads files; None reads all, into half of the free memory.
        test_by: the column of a table that says which rows are tested.

    Example:
        >>> from pathlib import Path
        >>> lm.kinds.Source(Path("graphs.jsonl")).test_path is None
        True
    """

    path: Path
    test: Path | None = None
    group: str | None = None
    label: str | None = None
    least: int = 1
    targets: Targets | None = None
    prepared: Any = None
    side: int | None = None
    window: float | None = None
    reading: FileReading | None = None
    test_by: str | None = None

    @property
    def test_path(self) -> str | None:
        """The path of the test part as a text."""
        return None if self.test is None else str(self.test)
