"""Labelled examples, divided by their places into a train, a val and a test part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import printable
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import LABEL_SEPARATOR, NO_LABEL, SeveralLabels
from lit_metanas.tasks.group_dealing import deal_groups
from lit_metanas.tasks.label_sets import (
    are_label_sets,
    check_columns_of_labels,
    indicator,
    label_sets,
    refuse_foreign,
    separator_of,
)
from lit_metanas.tasks.labels import ClassNames, Groups, Labels, class_indices, class_names, group_names, label_list
from lit_metanas.tasks.number_targets import Targets, are_numbers, learned_as, number_targets, strata_of
from lit_metanas.tasks.source import SUBSETS
from lit_metanas.tasks.splits import (
    by_class,
    deal_labels,
    join_classes,
    kept_labels,
    large_classes,
    split_examples,
    warn_of_repeats,
)
from lit_metanas.tasks.task import Split, Task, check_task


class LabelledExamples(ABC):
    """Examples in memory with a label each, called by ``noun``; they are divided by their places."""

    names: Sequence[str]  # of the network's outputs
    strata: Mapping[str, Sequence[int]]  # the places of examples that are divided alike
    learns_all: ClassVar[bool] = True  # whether some of each stratum are learned from

    def __init__(self, number: int, *, noun: str, group: Groups | None, place: str) -> None:
        self.noun = noun
        self.place = place
        self._groups = group_names(group, number, noun)
        self._tested: list[int] = []

    def divided(
        self, *, train: float | None = None, val: float, test: float, seed: int, given: Sequence[int] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """Places and targets of the train, val and test part; ``train`` is all that is left by default."""
        # The part of each example may be `given`: 0, 1 or 2. If none is in the val part, some to learn from are drawn.
        if given:
            parts = self._placed(given, seed=seed, val=val)
        else:
            parts = split_examples(
                {name: torch.tensor(places)[:, None] for name, places in self.strata.items()},
                train=train,
                val=val,
                test=test,
                seed=seed,
                culprit=self._culprit,
                groups=by_class(self._groups, self.strata),
            )
        self._tested = parts[2].inputs[:, 0].tolist()
        return [(part.inputs[:, 0], self._targets(part)) for part in parts]

    def _placed(self, given: Sequence[int], *, val: float, seed: int) -> list[Split]:
        """The places of examples whose parts are given."""
        own = [
            {
                name: torch.tensor([at for at in places if given[at] == part], dtype=torch.int64)[:, None]
                for name, places in self.strata.items()
            }
            for part in range(3)
        ]
        absent = [name for name, places in own[0].items() if not len(places)]
        if absent and self.learns_all:
            raise ValueError(
                f"{printable(self._culprit(absent[0]))} has no example to learn from, as all are in other parts: leave "
                "it out."
            )
        for name in absent:
            del own[0][name]
        if any(map(len, own[1].values())) or not val:
            return [join_classes(list(classes.values())) for classes in own]
        share = val * len(given) / sum(map(len, own[0].values()))  # of all examples
        drawn = split_examples(own[0], train=None, val=min(share, 0.5), test=0.0, seed=seed, culprit=self._culprit)
        return [*drawn[:2], join_classes(list(own[2].values()))]

    def task(
        self,
        id: str,
        parts: Iterable[Split],
        tested: tuple[Tensor, Labels] | None = None,
        tested_in: str = "X_test",
        preprocessing: Preprocessing | None = None,
        test_names: Sequence[str] = (),
    ) -> Task:
        """A task of the parts; inputs and labels of a given test part stay in their order."""
        parts, places = list(parts), self._tested
        if tested is not None:
            inputs, labels = tested
            called = {}
            if tested_in.startswith("'"):
                called = {"name": tested_in, "learned": self.place}
            places, targets = self.tested(labels, len(inputs), **called)
            parts[2] = Split(inputs[places], targets.to(inputs.device))
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
            test_names=tuple(test_names) or tuple(map(str, places)),
            objective=self._objective(train.labels),
        )
        check_task(task)
        return task

    @abstractmethod
    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """The places and targets of those of a given test part that can be tested."""

    @abstractmethod
    def _targets(self, part: Split) -> Tensor:
        """The targets of places, whose strata are numbered."""

    @abstractmethod
    def _objective(self, targets: Tensor) -> Objective | None:
        """What is learned, by the targets to learn from."""

    @abstractmethod
    def _culprit(self, name: str) -> str:
        """A stratum in messages, with the file that has it."""


class ClassifiedExamples(LabelledExamples):
    """Examples with a class each."""

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
        self.labels = label_list(labels, number, noun=noun)
        self._named = class_names(self.labels, classes, noun)
        members: dict[str, list[int]] = {name: [] for name in self._named.values()}
        for at, label in enumerate(self.labels):
            members[self._named[label]].append(at)
        self.strata = large_classes(members, min_per_class, place)
        self.names = tuple(self.strata)
        super().__init__(number, noun=noun, group=group, place=place)

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """Without those of classes that were left out."""
        given = label_list(labels, number, name=name, noun=self.noun)
        places, kept = kept_labels(given, self._named, self.strata)
        return places, class_indices([given[at] for at in places], kept, name=name, learned=learned, noun=self.noun)

    def _targets(self, part: Split) -> Tensor:
        return part.labels

    def _objective(self, targets: Tensor) -> Objective | None:
        return None

    def _culprit(self, name: str) -> str:
        return _class_at(name, self.place)


class LabelSetExamples(LabelledExamples):
    """Examples with a set of classes each, which may be empty."""

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
        self._separator = separator_of(labels)
        named = place if place.startswith("'") else "y"
        sets = label_sets(labels, number, separator=self._separator, name=named, noun=noun)
        check_columns_of_labels(labels, named)
        self._named = class_names([label for own in sets for label in own], classes, noun)
        for name in self._named.values():
            if LABEL_SEPARATOR in name or name == NO_LABEL:
                raise ValueError(
                    f"A label is called '{printable(name, 40)}', and '{LABEL_SEPARATOR}' stands between labels in "
                    f"results, '{NO_LABEL}' for none: rename it."
                )
        members: dict[str, list[int]] = {name: [] for name in self._named.values()}
        for at, own in enumerate(sets):
            for label in own:
                members[self._named[label]].append(at)
        self.names = tuple(large_classes(members, min_per_class, place))
        self._kept = [label for label, name in self._named.items() if name in self.names]
        self.targets = indicator(sets, self._kept)
        self.strata = {name: members[name] for name in self.names}
        super().__init__(number, noun=noun, group=group, place=place)

    def divided(
        self, *, train: float | None = None, val: float, test: float, seed: int, given: Sequence[int] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """By iterative stratification; groups as those of classes are, of which an example may have several."""
        if given:
            parts = [(torch.tensor(given) == part).nonzero()[:, 0] for part in range(3)]
            if not len(parts[1]) and val:
                share = min(val * len(given) / max(1, len(parts[0])), 0.5)
                drawn = self._dealt(parts[0], train=None, val=share, test=0.0, seed=seed)
                parts[:2] = drawn[:2]
        else:
            parts = self._dealt(torch.arange(len(self.targets)), train=train, val=val, test=test, seed=seed)
        self._tested = parts[2].tolist()
        return [(own, self.targets[own]) for own in parts]

    def _dealt(self, places: Tensor, **shares: Any) -> list[Tensor]:
        """The places of each part, of some examples."""
        targets = self.targets[places]
        if self._groups is None:
            dealt = deal_labels(targets, **shares, culprit=lambda label: self._culprit(self.names[label]))
            return [places[own] for own in dealt]
        groups = [self._groups[place] for place in places.tolist()]
        held = {name: own.nonzero()[:, 0].tolist() for name, own in zip(self.names, targets.T, strict=True)}
        held[""] = (targets.sum(1) == 0).nonzero()[:, 0].tolist()
        named = {name: [groups[place] for place in own] for name, own in held.items() if own}
        part_of = deal_groups(named, **shares, culprit=self._culprit)
        return [places[torch.tensor([part_of[own] == part for own in groups])] for part in SUBSETS]

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """All of them, without labels of classes that were left out."""
        sets = label_sets(labels, number, separator=self._separator, name=name, noun=self.noun)
        refuse_foreign(sets, self._named, name, learned, self.noun)
        return list(range(number)), indicator(sets, self._kept)

    def _targets(self, part: Split) -> Tensor:
        return self.targets[part.inputs[:, 0]]

    def _objective(self, targets: Tensor) -> Objective | None:
        absent = (targets.sum(0) == 0).nonzero()[:, 0].tolist()
        if absent:
            raise ValueError(f"{self._culprit(self.names[absent[0]])} has no example to learn from: add some.")
        return SeveralLabels(len(self.names))

    def _culprit(self, name: str) -> str:
        return _class_at(name, self.place)


class NumberedExamples(LabelledExamples):
    """Examples with a number each, or several; they are divided by quantiles."""

    learns_all = False  # numbers may grow with time, and the newest are tested

    def __init__(
        self,
        number: int,
        labels: Labels,
        *,
        noun: str,
        names: Sequence[str] = (),
        group: Groups | None = None,
        place: str = "X",
    ) -> None:
        self.targets = number_targets(labels, number, noun=noun)
        own = tuple(names) or tuple(map(str, getattr(labels, "columns", ())))
        self.names = Regression.of(self.targets).names(own)
        if len(self.names) != self.targets.shape[1]:
            raise ValueError(
                f"There are {self.targets.shape[1]} targets, and {len(self.names)} names of them: give one each."
            )
        # A group may have similar numbers alone.
        strata = strata_of(self.targets) if group is None else [torch.arange(number)]
        self.strata = {str(place): own.tolist() for place, own in enumerate(strata)}
        super().__init__(number, noun=noun, group=group, place=place)

    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", learned: str = "y"
    ) -> tuple[list[int], Tensor]:
        """All of them."""
        return list(range(number)), number_targets(labels, number, name=name, noun=self.noun)

    def _targets(self, part: Split) -> Tensor:
        return self.targets[part.inputs[:, 0]]

    def _objective(self, targets: Tensor) -> Objective | None:
        return Regression.of(targets)

    def _culprit(self, name: str) -> str:
        return self.place


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
    if targets is None:
        targets = _seem(labels, number, noun)
    if targets == "several labels":
        return LabelSetExamples(
            number, labels, noun=noun, classes=classes, group=group, min_per_class=min_per_class, place=place
        )
    if targets == "regression":
        names = classes if isinstance(classes, Sequence) else ()
        return NumberedExamples(number, labels, noun=noun, names=names, group=group, place=place)
    return ClassifiedExamples(
        number, labels, noun=noun, classes=classes, group=group, min_per_class=min_per_class, place=place
    )


def _seem(labels: Labels, number: int, noun: str) -> Targets:
    """What labels are learned as, by their look."""
    if are_label_sets(labels):
        return "several labels"
    if _are_several(labels):
        return "regression"
    return learned_as(label_list(labels, number, noun=noun), None)


def _class_at(name: str, place: str) -> str:
    """A class in messages, with the file that has it."""
    if place.startswith("'"):  # a path stands in quotes, an argument does not
        return f"Class '{name}' of {place}"
    return f"Class {name!r}"


def _are_several(labels: Labels) -> bool:
    """Whether examples have several numbers each."""
    if len(getattr(labels, "shape", ())) != 2:
        return False
    with suppress(ValueError):  # of names
        columns = number_targets(labels, len(labels)).T.tolist()
        return len(columns) > 1 and all(map(are_numbers, columns))
    return False
