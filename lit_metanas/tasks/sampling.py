"""Episodes and target tasks as pure functions of a source and a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.batches import as_floats, check_brightness
from lit_metanas.inputs.preprocessing import Preprocessing, check_range
from lit_metanas.inputs.shapes import Shape, vocabulary_of
from lit_metanas.io.text import number_of
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource, check_source
from lit_metanas.tasks.task import Episode, Split, Task, TaskCollection

# First number of every random key, so that no episode shares its stream with a task.
_EPISODE, _TASK, _CHANGES = 0, 1, 2

MOST_TASKS = 1_000_000  # of one collection, which lists them


def draw_episode(
    source: TaskSource,
    subset: Subset,
    *,
    seed: int,
    epoch: int,
    index: int,
    way: int,
    shot: int,
    query: int,
    within_group: bool = False,
) -> Episode:
    """Draw one episode; the same arguments always give the same episode.

    Args:
        source: where the examples come from.
        subset: which of its class-disjoint subsets.
        seed: seed of the stream of episodes, at least 0.
        epoch: epoch in the stream, at least 0.
        index: position in the epoch, at least 0, the same number whatever the number of processes.
        way: number of classes.
        shot: support examples a class.
        query: query examples a class.
        within_group: draw all classes from one group (alphabet, script) of the source.

    Returns:
        An episode whose support, ``way * shot`` examples, and query, ``way * query`` examples, are ordered by class.

    Raises:
        ValueError: the subset has too few classes, or one of them too few examples.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> episode = lm.tasks.draw_episode(source, "train", seed=0, epoch=0, index=0, way=2, shot=1, query=3)
        >>> episode.support.inputs.shape, episode.query.inputs.shape
        (torch.Size([2, 1, 8, 8]), torch.Size([6, 1, 8, 8]))
    """
    generator = np.random.default_rng((_EPISODE, SUBSETS.index(subset), seed, epoch, index))
    chosen = _choose_classes(source, subset, way=way, within_group=within_group, generator=generator)
    needed, wanted = shot + query, f"shot + query = {shot} + {query}"
    available = [source.episode_instances(subset, class_index) for class_index in chosen]
    for class_index, examples in zip(chosen, available, strict=True):
        _require(source, subset, class_index, examples, needed, wanted)
    # Which numbers are drawn, in which order, is part of every result: first the classes, then the examples of each.
    picked = [generator.permutation(examples)[:needed].tolist() for examples in available]
    drawn = source.inputs_of_classes(subset, chosen, picked)
    return Episode(
        id=f"{source.name}/{subset}/{epoch}/{index}",
        way=way,
        train=_of_each_class(drawn, way, slice(shot)),
        val=None,
        test=_of_each_class(drawn, way, slice(shot, needed)),
        **_described(source, subset, chosen),
    )


def changes_generator(subset: Subset, seed: int, epoch: int, index: int) -> torch.Generator:
    """A generator for the random changes of one episode or batch: a function of the arguments."""
    key = np.random.SeedSequence((_CHANGES, SUBSETS.index(subset), seed, epoch, index))
    return torch.Generator().manual_seed(int(key.generate_state(1, np.uint64)[0]))


def draw_task(
    source: TaskSource,
    subset: Subset = "test",
    *,
    seed: int = 0,
    index: int = 0,
    way: int = 10,
    train: int = 100,
    val: int = 100,
    test: int = 100,
) -> Task:
    """Draw one target task; the same arguments always give the same task.

    Train and validation examples are ordinary ones. Test examples are held-out ones (other faces, …) where the source
    has such, else ordinary ones that are in neither of the other parts.

    Args:
        source: where the examples come from.
        subset: which of its class-disjoint subsets.
        seed: seed of the list of tasks, at least 0.
        index: position in the list.
        way: number of classes.
        train: training examples a class.
        val: validation examples a class.
        test: test examples a class.

    Raises:
        ValueError: the subset has too few classes, or one of them too few examples.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> task = lm.draw_task(source, "train", way=2, train=4, val=3, test=3)
        >>> len(task.train), len(task.val), len(task.test)
        (8, 6, 6)
    """
    generator = np.random.default_rng((_TASK, SUBSETS.index(subset), seed, index))
    chosen = _choose_classes(source, subset, way=way, within_group=False, generator=generator)
    held_out = all(source.instances(subset, c, held_out=True) > 0 for c in chosen)
    needed, wanted = train + val + test, f"train + val + test = {train} + {val} + {test}"
    if held_out:
        needed, wanted = train + val, f"train + val = {train} + {val}"
    picked = []
    # As in `draw_episode` the order of draws is part of every result: of each class the ordinary examples come first.
    for class_index in chosen:
        available = source.instances(subset, class_index)
        _require(source, subset, class_index, available, needed, wanted)
        picked.append(generator.permutation(available)[:needed].tolist())
        if held_out:
            reserved = source.instances(subset, class_index, held_out=True)
            _require(source, subset, class_index, reserved, test, f"test = {test} held-out examples")
            picked[-1] += generator.permutation(reserved)[:test].tolist()

    def gather(begin: int, end: int | None, held_out: bool = False) -> Split:
        instances = [own[begin:end] for own in picked]
        return _of_each_class(source.inputs_of_classes(subset, chosen, instances, held_out), way)

    return Task(
        id=f"{source.name}/{subset}/{index}",
        way=way,
        train=gather(0, train),
        val=gather(train, train + val) if val else None,
        test=gather(train + val, None, held_out),
        **_described(source, subset, chosen),
    )


def _choose_classes(
    source: TaskSource, subset: Subset, *, way: int, within_group: bool, generator: np.random.Generator
) -> list[int]:
    """Draw distinct class indices, from the whole subset or from one group that has enough of them."""
    check_source(source)
    if (count := len(source.classes(subset))) < way:
        raise ValueError(
            f"{source.name}/{subset} has {number_of(count, 'class')}, fewer than way = {way}: choose a smaller way or "
            "add classes."
        )
    if not within_group:
        return [int(c) for c in generator.permutation(count)[:way]]
    members: dict[str, list[int]] = {}
    for class_index, group in enumerate(source.groups(subset)):
        members.setdefault(group, []).append(class_index)
    large = sorted(group for group, indices in members.items() if len(indices) >= way)
    if not large:
        best = max(members, key=lambda group: len(members[group]))
        raise ValueError(
            f"{source.name}/{subset} has no group of way = {way} classes (the largest, {best!r}, has "
            f"{len(members[best])}): choose a smaller way or within_group: false."
        )
    candidates = members[large[int(generator.integers(len(large)))]]
    return [candidates[i] for i in generator.permutation(len(candidates))[:way]]


def _require(source: TaskSource, subset: Subset, class_index: int, available: int, needed: int, wanted: str) -> None:
    if available < needed:
        raise ValueError(
            f"Class {source.classes(subset)[class_index]!r} of {source.name}/{subset} has "
            f"{number_of(available, 'example')}, fewer than {wanted}: ask for fewer or add examples."
        )


def _of_each_class(drawn: Tensor, way: int, part: slice = slice(None)) -> Split:
    """Some of the examples of each class, all of which have as many, with their labels."""
    chosen = drawn.unflatten(0, (way, -1))[:, part]
    inputs = chosen.clone(memory_format=torch.contiguous_format).flatten(0, 1)
    labels = torch.arange(way, device=drawn.device).repeat_interleave(chosen.shape[1])
    if inputs.dim() == 4:
        if inputs.dtype != torch.uint8:
            check_brightness("A source", inputs)
        inputs = as_floats(inputs)
    return Split(inputs, labels)


def _described(source: TaskSource, subset: Subset, chosen: list[int]) -> dict[str, Any]:
    """The names of the chosen classes, and what a task keeps of its source."""
    names = source.classes(subset)
    return {
        "classes": tuple(names[c] for c in chosen),
        "vocabulary": vocabulary_of(source.shape),
        "preprocessing": source.preprocessing,
    }


class DrawnTasks(TaskCollection):
    """Target tasks over held-out classes: task ``i`` is a function of the source, the subset, the seed and ``i``.

    Args:
        source: where the examples come from.
        subset: choose by ``val``, report on ``test``.
        way: classes a task.
        train: training examples a class.
        val: validation examples a class.
        test: test examples a class.
        tasks: number of tasks, at least 1.
        seed: seed of the list, at least 0.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6, fractions=(0.5, 0.0, 0.5))
        >>> tasks = lm.tasks.DrawnTasks(source, way=2, train=5, val=2, test=3, tasks=4)
        >>> len(tasks), tasks[3].id
        (4, 'arrays/test/3')
    """

    def __init__(
        self,
        source: TaskSource,
        subset: Subset = "test",
        way: int = 10,
        train: int = 100,
        val: int = 100,
        test: int = 100,
        tasks: int = 10,
        seed: int = 0,
    ) -> None:
        least = {"way": (way, 2), "train": (train, 1), "val": (val, 0), "test": (test, 1), "seed": (seed, 0)}
        check_range("DrawnTasks", **least, tasks=(tasks, 1, MOST_TASKS))
        check_source(source)
        self.source = source
        self.subset: Subset = subset
        self.way = way
        self.train = train
        self.val = val
        self.test = test
        self.tasks = tasks
        self.seed = seed

    @property
    def shape(self) -> Shape:
        """The source's shape."""
        return self.source.shape

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Give it to the source."""
        self.source.take_preprocessing(preprocessing)

    def prepare(self) -> None:
        """Prepare the source."""
        self.source.prepare()

    def __len__(self) -> int:
        return self.tasks

    def __getitem__(self, index: int) -> Task:
        if not 0 <= index < self.tasks:
            raise IndexError(f"task {index} of {self.tasks}")
        return draw_task(
            self.source,
            self.subset,
            seed=self.seed,
            index=index,
            way=self.way,
            train=self.train,
            val=self.val,
            test=self.test,
        )
