"""Tasks of examples by class: of folders, or in memory with a label each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import writable
from lit_metanas.tasks.labels import ClassNames, Groups, Labels, class_indices, class_names, group_names, label_list
from lit_metanas.tasks.splits import by_class, join_classes, kept_labels, large_classes, split_examples, warn_of_repeats
from lit_metanas.tasks.task import Split, Task, check_task


def task_of_classes(
    id: str,
    classes: Mapping[str, Tensor],
    *,
    shares: tuple[float | None, float, float],
    seed: int,
    culprit: Callable[[str], str],
    groups: Mapping[str, list[str]] | None,
    tested: Mapping[str, Tensor] | None,
    tested_in: str = "",
    preprocessing: Preprocessing | None = None,
    files: Mapping[str, Sequence[Path]],
    tested_files: Mapping[str, Sequence[Path]] | None = None,
) -> Task:
    """A task of the inputs of each class, divided by shares of train, val and test part.

    ``tested`` are those of a given test part; what it repeats is warned of where ``tested_in`` says what holds it.
    Both were read from ``files``.
    """
    train, val, test = shares
    divide = partial(split_examples, train=train, val=val, test=test, seed=seed, culprit=culprit, groups=groups)
    parts = divide(classes)
    if tested is None:
        places = divide({name: torch.arange(len(own))[:, None] for name, own in classes.items()})[2]
        listed = [files[name] for name in classes]
        names = [listed[label][int(place)] for place, label in zip(places.inputs[:, 0], places.labels, strict=True)]
    else:
        names = [file for name in classes for file in (tested_files or {}).get(name, ())]
        none = next(iter(classes.values()))[:0]
        parts[2] = join_classes([tested.get(name, none) for name in classes])
        if tested_in:
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
    return _task(id, parts, classes, preprocessing, [writable(str(file)) for file in names])


class LabelledExamples:
    """Examples in memory with a label each, called by ``noun``; they are divided by their places."""

    def __init__(
        self,
        number: int,
        labels: Labels,
        *,
        noun: str,
        classes: ClassNames | None = None,
        group: Groups | None = None,
        min_per_class: int | None = None,
        place: str = "X",
    ) -> None:
        self.noun = noun
        self.place = place
        self.labels = label_list(labels, number, noun=noun)
        self.names = class_names(self.labels, classes, noun)
        members: dict[str, list[int]] = {name: [] for name in self.names.values()}
        for at, label in enumerate(self.labels):
            members[self.names[label]].append(at)
        self.members = large_classes(members, min_per_class, place)
        self._tested: list[int] = []
        self.groups = None
        if group is not None:
            self.groups = by_class(group_names(group, number, noun), self.members)

    def divided(self, *, train: float | None = None, val: float, test: float, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Places and labels of the train, val and test part; ``train`` is all that is left by default."""
        parts = split_examples(
            {name: torch.tensor(places)[:, None] for name, places in self.members.items()},
            train=train,
            val=val,
            test=test,
            seed=seed,
            culprit=self._culprit,
            groups=self.groups,
        )
        self._tested = parts[2].inputs[:, 0].tolist()
        return [(part.inputs[:, 0], part.labels) for part in parts]

    def _culprit(self, name: str) -> str:
        """A class in messages, with the file that has it."""
        if self.place.startswith("'"):  # a path stands in quotes, an argument does not
            return f"Class '{name}' of {self.place}"
        return f"Class {name!r}"

    def task(
        self,
        id: str,
        parts: Iterable[Split],
        tested: tuple[Tensor, Labels] | None = None,
        tested_in: str = "X_test",
        preprocessing: Preprocessing | None = None,
        test_names: Sequence[str] = (),
    ) -> Task:
        """A task of the parts; inputs and labels of a given test part stay in their order.

        Test examples are called by their places, from 0 on, unless they have names.
        """
        parts, places = list(parts), self._tested
        if tested is not None:
            inputs, labels = tested
            given = label_list(labels, len(inputs), name="y_test", images="X_test", noun=self.noun)
            places, kept = kept_labels(given, self.names, self.members)
            numbers = class_indices([given[place] for place in places], kept, noun=self.noun)
            parts[2] = Split(inputs[places], numbers.to(inputs.device))
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
        task = _task(id, parts, self.members, preprocessing, test_names or list(map(str, places)))
        check_task(task)
        return task


def _task(
    id: str,
    parts: list[Split],
    classes: Iterable[str],
    preprocessing: Preprocessing | None,
    test_names: Sequence[str],
) -> Task:
    train, val, test = parts
    names, vocabulary = tuple(classes), None
    if preprocessing is not None:
        vocabulary = vocabulary_of(preprocessing.shape)
    return Task(
        id=id,
        way=len(names),
        train=train,
        val=val,
        test=test,
        classes=names,
        vocabulary=vocabulary,
        preprocessing=preprocessing,
        test_names=tuple(test_names),
    )
