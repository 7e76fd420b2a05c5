"""Tasks of examples that are divided by their places into a train, a val and a test part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs.example_memory import arranged
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.file_reading import ReadFiles
from lit_metanas.objectives.objective import Objective
from lit_metanas.tasks.labels import Groups, Labels, group_names
from lit_metanas.tasks.splits import by_class, join_classes, split_examples, warn_of_repeats
from lit_metanas.tasks.task import Split, Task, check_task


def task_of_classes(
    id: str,
    read: ReadFiles,
    classes: Mapping[str, Tensor],
    *,
    shares: tuple[float | None, float, float],
    seed: int,
    culprit: Callable[[str], str],
    groups: Mapping[Path, str] | None,
    tested: ReadFiles | None,
    tested_in: str = "",
    preprocessing: Preprocessing | None = None,
) -> Task:
    """A task of what was read, whose places of each class are divided by shares of train, val and test part."""
    # The parts take over the memory of the inputs. `groups` are those of files. `tested` is a given test part; what it
    # repeats is warned of where `tested_in` says what holds it.
    train, val, test = shares
    divided = split_examples(
        {name: places[:, None] for name, places in classes.items()},
        train=train,
        val=val,
        test=test,
        seed=seed,
        culprit=culprit,
        groups=by_class(groups, {name: read.files[name] for name in classes}),
    )
    files, last = [*chain.from_iterable(read.files.values())], divided[2].inputs[:, 0]
    names = [files[place] for place in last.tolist()]
    inputs = arranged(read.inputs, [part.inputs[:, 0] for part in divided])
    parts = [Split(own, part.labels) for own, part in zip(inputs, divided, strict=True)]
    if tested is not None:
        names = [file for name in classes for file in tested.files.get(name, ())]
        none = last[:0]
        shown = join_classes([tested.places.get(name, none) for name in classes])
        parts[2] = Split(arranged(tested.inputs, [shown.inputs])[0], shown.labels)
        if tested_in:
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
    return task_of_parts(id, parts, classes, preprocessing, [writable(str(file)) for file in names])


class LabelledExamples(ABC):
    """Examples in memory with a label each, called by ``noun``; they are divided by their places."""

    names: Sequence[str]  # of the network's outputs
    strata: Mapping[str, Sequence[int]]  # the places of examples that are divided alike

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
        for name, places in own[0].items():
            if not len(places):
                raise ValueError(
                    f"{printable(self._culprit(name))} has no example to learn from, as all are in other parts: leave "
                    "it out."
                )
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
            places, targets = self.tested(labels, len(inputs))
            parts[2] = Split(inputs[places], targets.to(inputs.device))
            warn_of_repeats(tested_in, [part.inputs for part in parts[:2]], parts[2].inputs)
        names = test_names or list(map(str, places))
        task = task_of_parts(id, parts, self.names, preprocessing, names, self._objective(parts[0].labels))
        check_task(task)
        return task

    @abstractmethod
    def tested(
        self, labels: Labels, number: int, *, name: str = "y_test", images: str = "X_test", learned: str = "y"
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


def task_of_parts(
    id: str,
    parts: list[Split],
    classes: Iterable[str],
    preprocessing: Preprocessing | None,
    test_names: Sequence[str],
    objective: Objective | None = None,
) -> Task:
    """A task of its three parts."""
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
        objective=objective,
    )
