"""Tasks of examples by class: of folders, or in memory with a label each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import vocabulary_of
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
) -> Task:
    """A task of the inputs of each class, divided by shares of train, val and test part.

    ``tested`` are those of a given test part; what it repeats is warned of where ``tested_in`` says what holds it.
    """
    train, val, test = shares
    parts = split_examples(classes, train=train, val=val, test=test, seed=seed, culprit=culprit, groups=groups)
    if tested is not None:
        none = next(iter(classes.values()))[:0]
        parts[2] = join_classes([tested.get(name, none) for name in classes])
        if tested_in:
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
    return _task(id, parts, classes, preprocessing)


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
    ) -> Task:
        """A task of the parts; inputs and labels of a given test part stay in their order."""
        parts = list(parts)
        if tested is not None:
            inputs, labels = tested
            given = label_list(labels, len(inputs), name="y_test", images="X_test", noun=self.noun)
            places, kept = kept_labels(given, self.names, self.members)
            numbers = class_indices([given[place] for place in places], kept, noun=self.noun)
            parts[2] = Split(inputs[places], numbers.to(inputs.device))
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
        task = _task(id, parts, self.members, preprocessing)
        check_task(task)
        return task


def _task(id: str, parts: list[Split], classes: Iterable[str], preprocessing: Preprocessing | None) -> Task:
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
    )
