"""Labelled examples, divided by their places into a train, a val and a test part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import number_of, printable
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import LABEL_SEPARATOR, NO_LABEL, SeveralLabels
from lit_metanas.tasks.labels import (
    ClassNames,
    Groups,
    Labels,
    are_label_sets,
    check_columns_of_labels,
    class_names,
    group_names,
    indicator,
    label_list,
    label_sets,
    refuse_foreign,
    separator_of,
)
from lit_metanas.tasks.number_targets import Targets, are_numbers, learned_as, number_targets, strata_of
from lit_metanas.tasks.source import SUBSETS
from lit_metanas.tasks.splits import deal_groups, deal_labels, large_classes, split_examples, warn_of_repeats
from lit_metanas.tasks.task import Split, Task, check_task


class LabelledExamples(ABC):
    """Examples in memory with a label each, called by ``noun``; they are divided by their places."""

    names: Sequence[str]  # of the network's outputs
    targets: Tensor  # of all examples

    def __init__(
        self,
        number: int,
        labels: Any,
        *,
        noun: str,
        classes: ClassNames | None = None,
        group: Groups | None = None,
        min_per_class: int | None = None,
        place: str = "X",
    ) -> None:
        self.noun = noun
        self.place = place
        self._groups = group_names(group, number, noun)
        self._kept = [*range(number)]  # the places of those that are not left out, in the order of the parts
        self.test_places: list[int] = []
        self._read(labels, number, classes, min_per_class)

    @abstractmethod
    def _read(self, labels: Any, number: int, classes: ClassNames | None, least: int | None) -> None:
        """Set names and targets by the labels."""

    def divided(
        self, shares: tuple[float | None, float, float], seed: int, given: Sequence[int] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """Places and targets of the train, val and test part, by their shares; train's is None for all that is left."""
        # The part of each example may be `given`: 0, 1 or 2. If none is in the val part, some to learn from are drawn.
        train, val, test = shares
        if given:
            parts = [[place for place in self._kept if given[place] == part] for part in range(3)]
            if val and not parts[1]:
                share = min(val * len(given) / max(1, len(parts[0])), 0.5)
                parts[:2] = self._drawn(parts[0], train=None, val=share, test=0.0, seed=seed)[:2]
        else:
            parts = self._drawn(self._kept, train=train, val=val, test=test, seed=seed)
        self.test_places = parts[2]
        places = [torch.tensor(part, dtype=torch.int64) for part in parts]
        return [(own, self.targets[own]) for own in places]

    @abstractmethod
    def _strata(self, places: Sequence[int]) -> dict[str, list[int]]:
        """Some places by what is divided alike, such as the examples of a class."""

    def _drawn(self, places: Sequence[int], **shares: Any) -> list[list[int]]:
        return split_examples(self._strata(places), culprit=self._culprit, groups=self._groups, **shares)

    def task(
        self,
        id: str,
        parts: Iterable[Split],
        tested: tuple[Tensor, Labels] | None = None,
        tested_in: str = "X_test",
        preprocessing: Preprocessing | None = None,
        names: Sequence[str] = (),
    ) -> Task:
        """A task of the parts; inputs and labels of a given test part stay in their order."""
        # The `names` are of the examples that the test part is taken of: places stand for them in its order.
        parts = list(parts)
        if tested is not None:
            inputs, labels = tested
            called = {}
            if tested_in.startswith("'"):
                called = {"name": tested_in, "learned": self.place}
            self.test_places, targets = self.tested(labels, len(inputs), **called)
            parts[2] = Split(inputs[self.test_places], targets.to(inputs.device))
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
        train, val, test = parts
        task = Task(
            id=id,
            way=len(self.names),
            train=train,
            val=val,
            test=test,
            classes=tuple(self.names),
            vocabulary=None if preprocessing is None else vocabulary_of(preprocessing.shape),
            preprocessing=preprocessing,
            test_names=tuple(names[place] if names else str(place) for place in self.test_places),
            objective=self._objective(train.labels),
            grouped=self._groups is not None,
        )
        check_task(task)
        return task

    @abstractmethod
    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """The places and targets of those of a given test part that can be tested."""

    @abstractmethod
    def _objective(self, targets: Tensor) -> Objective | None:
        """What is learned, by the targets to learn from."""

    def _check_learned(self, counts: Tensor) -> None:
        """Refuse a class without examples to learn from, as all may be in given parts."""
        if absent := [name for name, count in zip(self.names, counts.tolist(), strict=True) if not count]:
            raise ValueError(
                f"{printable(self._culprit(absent[0]))} has no example to learn from: add some, or leave it out."
            )

    def _culprit(self, name: str) -> str:
        """A class in messages, with the file that has it."""
        if self.place.startswith("'"):  # a path stands in quotes, an argument does not
            return f"Class '{name}' of {self.place}"
        return f"Class {name!r}"


class ClassifiedExamples(LabelledExamples):
    """Examples with a class each."""

    def _read(self, labels: Labels, number: int, classes: ClassNames | None, least: int | None) -> None:
        listed = label_list(labels, number, noun=self.noun)
        self._named = class_names(listed, classes, self.noun)
        members: dict[str, list[int]] = {name: [] for name in self._named.values()}
        for at, label in enumerate(listed):
            members[self._named[label]].append(at)
        self.strata = large_classes(members, least, self.place)
        self.names = tuple(self.strata)
        self._kept = [place for own in self.strata.values() for place in own]
        self.targets = torch.full((number,), -1)  # of those that are left out
        for index, own in enumerate(self.strata.values()):
            self.targets[list(own)] = index

    def _strata(self, places: Sequence[int]) -> dict[str, list[int]]:
        within = {*places}
        return {name: [place for place in own if place in within] for name, own in self.strata.items()}

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """Without those of classes that were left out."""
        given = label_list(labels, number, name=name, noun=self.noun)
        refuse_foreign([[label] for label in given], self._named, name, learned, self.noun)
        index = {name: place for place, name in enumerate(self.names)}
        found = [index.get(self._named[label], -1) for label in given]
        places = [at for at, place in enumerate(found) if place >= 0]
        return places, torch.tensor([found[at] for at in places], dtype=torch.int64)

    def _objective(self, targets: Tensor) -> Objective | None:
        self._check_learned(targets.bincount(minlength=len(self.names)))
        return None


class LabelSetExamples(LabelledExamples):
    """Examples with a set of classes each, which may be empty."""

    def _read(self, labels: Any, number: int, classes: ClassNames | None, least: int | None) -> None:
        self._separator = separator_of(labels)
        named = self.place if self.place.startswith("'") else "y"
        sets = label_sets(labels, number, separator=self._separator, name=named, noun=self.noun)
        check_columns_of_labels(labels, named)
        self._named = class_names([label for own in sets for label in own], classes, self.noun)
        if unclear := [name for name in self._named.values() if LABEL_SEPARATOR in name or name == NO_LABEL]:
            raise ValueError(
                f"A label is called '{printable(unclear[0], 40)}', and '{LABEL_SEPARATOR}' stands between labels in "
                f"results, '{NO_LABEL}' for none: rename it."
            )
        members: dict[str, list[int]] = {name: [] for name in self._named.values()}
        for at, own in enumerate(sets):
            for label in own:
                members[self._named[label]].append(at)
        self.names = tuple(large_classes(members, least, self.place))
        self._labels = [label for label, name in self._named.items() if name in self.names]
        self.targets = indicator(sets, self._labels)

    def _strata(self, places: Sequence[int]) -> dict[str, list[int]]:
        """An example may be in several, and those without a label are in one of their own."""
        targets = self.targets[places]
        held = dict(zip((*self.names, ""), [*targets.T, targets.sum(1) == 0], strict=True))
        return {name: [places[at] for at in own.nonzero()[:, 0].tolist()] for name, own in held.items() if own.any()}

    def _drawn(self, places: Sequence[int], **shares: Any) -> list[list[int]]:
        """By iterative stratification; groups as those of classes are."""
        if self._groups is None:
            dealt = deal_labels(self.targets[places], **shares, culprit=lambda label: self._culprit(self.names[label]))
            return [[places[at] for at in own.tolist()] for own in dealt]
        groups = {name: [self._groups[at] for at in own] for name, own in self._strata(places).items()}
        part_of = deal_groups(groups, **shares, culprit=self._culprit)
        return [[at for at in places if part_of[self._groups[at]] == part] for part in SUBSETS]

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """All of them, without labels of classes that were left out."""
        sets = label_sets(labels, number, separator=self._separator, name=name, noun=self.noun)
        refuse_foreign(sets, self._named, name, learned, self.noun)
        return list(range(number)), indicator(sets, self._labels)

    def _objective(self, targets: Tensor) -> Objective | None:
        self._check_learned(targets.sum(0))
        return SeveralLabels(len(self.names))


class NumberedExamples(LabelledExamples):
    """Examples with a number each, or several; they are divided by quantiles."""

    def _read(self, labels: Labels, number: int, classes: ClassNames | None, least: int | None) -> None:
        self.targets = number_targets(labels, number, noun=self.noun)
        given = classes if isinstance(classes, Sequence) else map(str, getattr(labels, "columns", ()))
        self.names = Regression.of(self.targets).names(tuple(given))
        if len(self.names) != self.targets.shape[1]:
            targets = number_of(self.targets.shape[1], "target")
            raise ValueError(f"There are {targets} and {number_of(len(self.names), 'name')} of them: give one each.")

    def _strata(self, places: Sequence[int]) -> dict[str, list[int]]:
        if self._groups is not None:  # which may have similar numbers alone
            return {"": [*places]}
        quantiles = enumerate(strata_of(self.targets[places]))
        return {str(number): [places[at] for at in own.tolist()] for number, own in quantiles}

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """All of them."""
        return list(range(number)), number_targets(labels, number, name=name, noun=self.noun)

    def _objective(self, targets: Tensor) -> Objective | None:
        return Regression.of(targets)

    def _culprit(self, name: str) -> str:
        return self.place


_LEARNED: Mapping[Targets, type[LabelledExamples]] = {
    "classification": ClassifiedExamples,
    "several labels": LabelSetExamples,
    "regression": NumberedExamples,
}


def labelled_examples(
    number: int,
    labels: Labels,
    *,
    noun: str,
    targets: Targets | None = None,
    classes: ClassNames | None = None,
    group: Groups | None = None,
    min_per_class: int | None = None,
    place: str = "X",
) -> LabelledExamples:
    """Examples by class, by set of classes or by number, as ``targets`` says, or as their labels look."""
    return _LEARNED[targets or _seem(labels, number, noun)](
        number, labels, noun=noun, classes=classes, group=group, min_per_class=min_per_class, place=place
    )


def _seem(labels: Labels, number: int, noun: str) -> Targets:
    """What labels are learned as, by their look."""
    if are_label_sets(labels):
        return "several labels"
    if len(getattr(labels, "shape", ())) == 2:
        with suppress(ValueError):  # of names
            columns = number_targets(labels, len(labels)).T.tolist()
            if len(columns) > 1 and all(map(are_numbers, columns)):
                return "regression"
    return learned_as(label_list(labels, number, noun=noun), None)
