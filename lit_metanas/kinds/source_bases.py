"""Bases of task sources: of examples that are read class by class, and of examples that are computed."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import check_range
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.files import cache_folder, replacing
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource
from lit_metanas.tasks.splits import class_subsets

# Examples of a class: those of episodes and of train and validation parts, and those of test parts alone.
ORDINARY_EXAMPLES, RESERVED_EXAMPLES = 200, 100

# Examples of a class that are computed together, so that none depends on which others are asked for with it.
BLOCK_SIZE = 20

# The place of a class among all, whether its examples are held out, and which of their blocks it is.
BlockKey: TypeAlias = tuple[int, bool, int]


class ClassExamples:
    """Examples whose classes are divided among the subsets; those of a class are read at their first use."""

    name: str = ""  # the first part of the ids of this source's tasks

    def __init__(
        self,
        name: str,
        members: Mapping[str, Any],
        lists: Mapping[Subset, Sequence[str] | None],
        *,
        fractions: tuple[float, float, float],
        seed: int,
        place: str,
        noun: str = "class",
    ) -> None:
        self.name = name
        self._members = members
        self._read: dict[str, Tensor] = {}
        self._classes = class_subsets(
            [*members], lists, fractions=fractions, seed=seed, owner=type(self).__name__, place=place, noun=noun
        )

    def _read_class(self, name: str) -> Tensor:
        """All examples of a class, shape ``(n, *shape)``: its members, if those are not files."""
        return cast(Tensor, self._members[name])

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes."""
        return self._classes[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many examples a class has; none is held out."""
        if held_out:
            return 0
        return len(self._members[self._classes[subset][class_index]])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return examples of one class, shape ``(n, *shape)``; the whole class stays in memory."""
        name = self._classes[subset][class_index]
        if name not in self._read:
            self._read[name] = self._read_class(name)
        return self._read[name][list(instances)]


class ComputedSource(TaskSource):
    """Examples that are computed: those of episodes once, for a file that keeps them, the others when asked for."""

    dtype: ClassVar[torch.dtype]  # of the kept examples

    def __init__(self, seed: int = 0, cache: str | None = None, pool: int = 20) -> None:
        check_range(type(self).__name__, seed=(seed, 0), pool=(pool, 1, ORDINARY_EXAMPLES))
        self.seed = seed
        self.cache = Path(cache or cache_folder())
        self.pool = pool
        self._blocks: dict[BlockKey, Tensor] = {}

    @property
    @abstractmethod
    def cache_file(self) -> Path:
        """The file of the kept examples; its name holds all that they depend on."""

    def _number(self) -> int:
        """How many classes all subsets have."""
        return sum(len(self.classes(subset)) for subset in SUBSETS)

    @abstractmethod
    def _place(self, subset: Subset, class_index: int) -> int:
        """The place of a subset's class among all classes."""

    @abstractmethod
    def _computed(self, block: BlockKey) -> Tensor:
        """The examples of a block, shape ``(BLOCK_SIZE, *shape)``."""

    def prepare(self) -> None:
        """Compute the examples that episodes use, unless the file has them."""
        if self._read() is not None:
            return
        number = -(-self.pool // BLOCK_SIZE)
        parts = [self._computed((place, False, each)) for place in range(self._number()) for each in range(number)]
        examples = torch.cat(parts).view(self._number(), -1, *self.shape)[:, : self.pool]
        with replacing(self.cache_file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, examples=examples.numpy())

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of ordinary or held-out examples of a class: the same for all."""
        return RESERVED_EXAMPLES if held_out else ORDINARY_EXAMPLES

    def episode_instances(self, subset: Subset, class_index: int) -> int:
        """Return the number of kept examples of a class: the same for all."""
        return self.pool

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return examples of one class, kept or computed now, shape ``(n, *shape)``."""
        return self.inputs_of_classes(subset, [class_index], [instances], held_out)

    def inputs_of_classes(
        self, subset: Subset, class_indices: Sequence[int], instances: Sequence[Sequence[int]], held_out: bool = False
    ) -> Tensor:
        """Return examples of several classes, shape ``(n, *shape)``: kept ones are picked together."""
        chosen = np.fromiter(chain.from_iterable(instances), np.int64)
        owners = np.repeat([self._place(subset, index) for index in class_indices], [*map(len, instances)])
        if not len(chosen) or (not held_out and chosen.max() < self.pool):
            found = self._kept.flatten(0, 1).index_select(0, torch.from_numpy(owners * self.pool + chosen))
        else:
            keys = zip(owners.tolist(), chosen.tolist(), strict=True)
            found = torch.stack([self._block((own, held_out, at // BLOCK_SIZE))[at % BLOCK_SIZE] for own, at in keys])
        if found.is_floating_point():
            return found.float()
        return found

    def _block(self, block: BlockKey) -> Tensor:
        if block not in self._blocks:
            self._blocks[block] = self._computed(block)
        return self._blocks[block]

    @cached_property
    def _kept(self) -> Tensor:
        """The kept examples, ``(classes, pool, *shape)``; computed first where the file is missing or damaged."""
        found = self._read()
        if found is None:
            self.prepare()
            found = self._read()
        assert found is not None
        return found

    def _read(self) -> Tensor | None:
        return read_kept(self.cache_file, (self._number(), self.pool, *self.shape), self.dtype)


def read_kept(file: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
    """The examples of a file; None if it is absent, damaged or of another form."""
    try:
        arrays = read_npz(file, "it is made again", largest=dtype.itemsize * math.prod(shape) + (1 << 20))
        examples = torch.from_numpy(arrays["examples"])
    except (ValueError, KeyError, TypeError):  # NumPy has types that torch lacks
        return None
    if examples.shape != shape or examples.dtype != dtype:
        return None
    return examples
