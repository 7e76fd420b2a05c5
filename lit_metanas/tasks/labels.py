"""Labels, as users have them, brought to one form: a class of each example, or several; and weights of rare classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.text import number_of, one_of, printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.metric_table import BALANCED
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.several_labels import LABEL_SEPARATOR, SeveralLabels
from lit_metanas.tasks.task import Split, Task, warn_of_data

Labels: TypeAlias = Tensor | NDArray[Any] | Sequence[Hashable]
Groups: TypeAlias = Labels
ClassNames: TypeAlias = Sequence[str] | Mapping[Any, str]
"""Names by label; or in the order of the sorted labels; or, where labels are 0, 1, …, by index."""


def group_names(values: Groups | None, number: int, noun: str) -> list[str] | None:
    """The group of each of so many examples in memory as a text; None without groups."""
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(
            f"group = {printable(repr(values), 80)} must be the group of each of the {number} {noun}, such as a list "
            "of names: examples in memory have no columns or folders."
        )
    return [str(value).strip() for value in label_list(values, number, name="group", noun=noun, what="group")]


def label_list(
    values: Any, number: int, *, name: str = "y", noun: str = "images", what: str = "label"
) -> list[Hashable]:
    """The labels of a sequence, an array or a column of pandas, one for each example; messages call them ``name``."""
    one, called = f"give one {what} {one_of(noun)}", what.capitalize()
    shape = tuple(getattr(values, "shape", (0,)))
    if len(shape) != 1:  # also of a table of pandas with a single column
        raise ValueError(f"{name} has shape {shape}: {one}, shape ({number},).")
    if isinstance(values, Tensor | np.ndarray):
        values = values.tolist()
    found = [plain_label(value) for value in values]
    if len(found) != number:
        raise ValueError(f"{name} has {len(found)} {what}s for {number} {noun}: {one}.")
    for place, value in enumerate(found):
        if isinstance(value, Tensor) or not isinstance(value, Hashable):
            raise ValueError(f"{called} {place} in {name} is a {type(value).__name__}: give a number or a name.")
        if is_missing(value) or (what == "group" and not str(value).strip()):
            raise ValueError(f"{called} {place} in {name} is {value}: leave out {noun} without a {what}.")
    return found


MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})  # in files, whatever the case


def warn_of_missing(labels: Iterable[object], place: str, noun: str) -> None:
    """Warn of labels of a table that may stand for missing ones; ``none`` may be a class, too."""
    written = (label.strip() for label in labels if isinstance(label, str))
    for absent, count in Counter(label for label in written if label.casefold() in MISSING - {"", "none"}).items():
        warn_of_data(
            f"'{place}' has the label '{absent}' in {number_of(count, noun)}, and it becomes a class: leave such "
            f"{noun}s out if their labels are missing."
        )


def hardly_repeat(counts: Mapping[str, int]) -> bool:
    """Whether most cells differ from all others, by the numbers of each text."""
    return 2 * sum(count == 1 for count in counts.values()) > sum(counts.values())


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, or pandas's NA, which is neither like nor unlike itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True
    except (ValueError, RuntimeError):  # an array or a tensor
        return False


def is_gap(value: object) -> bool:
    """Whether a cell of a table stands for no value: none at all, or one of ``MISSING``."""
    return is_missing(value) or (isinstance(value, str) and value.strip().casefold() in MISSING)


def plain_label(label: Any) -> Any:
    """A number for one of torch's or numpy's."""
    if isinstance(label, Tensor | np.ndarray | np.generic) and math.prod(label.shape) == 1:
        return label.item()
    return label


def class_names(labels: Sequence[Hashable], classes: ClassNames | None, noun: str = "images") -> dict[Hashable, str]:
    """The distinct labels in their order, each with the name of its class."""
    distinct = set(labels)
    try:
        order = sorted(distinct)  # type: ignore[type-var]
    except TypeError:  # labels of different kinds
        order = sorted(distinct, key=lambda label: (type(label).__name__, str(label)))
    if not order:
        raise ValueError(f"There are no {noun}: give some of two or more classes.")
    if len(order) < 2:
        raise ValueError(f"All {noun} have the label {order[0]!r}: give two or more classes.")
    names = _class_names(order, classes)
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise ValueError(f"Two classes are named {twice!r}: give each a name of its own.")
    return dict(zip(order, names, strict=True))


def _class_names(order: Sequence[Hashable], classes: ClassNames | None) -> list[str]:
    if classes is None:
        return [str(label) for label in order]
    if isinstance(classes, Mapping):
        if absent := [label for label in order if label not in classes]:
            raise ValueError(f"classes has no name for the label {absent[0]!r}: give one.")
        return [str(classes[label]) for label in order]
    if len(classes) == len(order):
        return [str(name) for name in classes]
    if all(isinstance(label, int) and 0 <= label < len(classes) for label in order):
        return [str(classes[label]) for label in order]  # type: ignore[call-overload]
    raise ValueError(f"classes has {len(classes)} names for {len(order)} classes: name each once.")


SEPARATORS_SEEN, SEPARATORS = ";|", ";|,"
"""What stands between labels: found by its look; and where they are known to be sets, as texts have commas, too."""

LEAST_MENTIONS = 2  # examples that a label has on average, if texts with a separator are sets of labels


def are_label_sets(labels: Any) -> bool:
    """Whether labels are sets of classes: lists or sets, rows of 0 and 1, or texts with labels between separators."""
    if (array := _columns(labels)) is not None:
        return array.shape[1] > 1 and _are_binary(array)
    if any(isinstance(label, list | set | frozenset) for label in labels):
        return True
    return _separator_seen(labels) is not None


def learned_as_sets(labels: Any, wanted: str | None) -> bool:
    """Whether labels are learned as sets of classes: as wanted, or as they look."""
    return are_label_sets(labels) if wanted is None else wanted == SeveralLabels.kind


def separator_of(labels: Any) -> str:
    """What stands between labels that are texts, where these are known to be sets of labels."""
    texts = [] if _columns(labels) is not None else [label for label in labels if isinstance(label, str)]
    used = (one for one in SEPARATORS if any(one in text for text in texts))
    return _separator_seen(texts) or next(used, LABEL_SEPARATOR)


def label_sets(
    labels: Any, number: int, *, separator: str, name: str = "y", noun: str = "rows"
) -> list[frozenset[Hashable]]:
    """The labels of each of so many examples; of rows of 0 and 1 the names or the places of columns."""
    array = _columns(labels)
    found: list[Any] = [*labels] if array is None else [*array]
    if len(found) != number:
        raise ValueError(f"There are {number} {noun}, but {name} has labels for {len(found)}: give as many.")
    if array is not None:
        if array.ndim != 2 or not _are_binary(array):
            raise ValueError(f"{name} has values that are neither 0 nor 1: give 1 for each label of an example.")
        columns = _names_of(labels, array)
        return [frozenset(columns[place] for place in row.nonzero()[0].tolist()) for row in array.astype(bool)]
    return [
        frozenset(_checked(one, f"Label {place} in {name}") for one in _parts(label, separator))
        for place, label in enumerate(found)
    ]


def check_columns_of_labels(labels: Any, name: str) -> None:
    """Refuse rows of 0 and 1 of which a column has no 1, so that nothing could be learned of its label."""
    if (array := _columns(labels)) is None:
        return
    if empty := [label for label, own in zip(_names_of(labels, array), array.T, strict=True) if not own.any()]:
        raise ValueError(f"No example has the label '{printable(str(empty[0]), 60)}': leave its column of {name} out.")


def indicator(sets: Sequence[Collection[Hashable]], order: Sequence[Hashable]) -> Tensor:
    """1 where an example has a label, shape ``(n, labels)``, float32; others than those of ``order`` are left out."""
    places = {label: place for place, label in enumerate(order)}
    found = torch.zeros(len(sets), len(places))
    for row, own in zip(found, sets, strict=True):
        row[[places[label] for label in own if label in places]] = 1
    return found


def refuse_foreign(
    sets: Iterable[Collection[Hashable]], known: Collection[Hashable], name: str, learned: str, noun: str
) -> None:
    """Refuse test examples with a label that none of those to learn from has."""
    if foreign := [label for own in sets for label in own if label not in known]:
        shown = printable(str(foreign[0]), 80)
        raise ValueError(f"{name} has the label '{shown}', which {learned} lacks: leave its {noun} out.")


def _columns(labels: Any) -> NDArray[Any] | None:
    """Labels that are rows of values as an array of at least two dimensions; None if they are no such."""
    if hasattr(labels, "toarray"):  # a sparse matrix
        labels = labels.toarray()
    if len(getattr(labels, "shape", ())) > 1:
        if isinstance(labels, Tensor):
            return labels.detach().cpu().numpy()
        return np.asarray(labels)
    rows = [row.tolist() if isinstance(row, Tensor | np.ndarray) else row for row in labels]
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) > 1 for row in rows):
        return None
    if not all(isinstance(value, Real) and float(value) in (0, 1) for row in rows for value in row):
        return None
    return np.array(rows)


def _names_of(labels: Any, array: NDArray[Any]) -> list[str] | list[int]:
    return [str(one) for one in getattr(labels, "columns", ())] or [*range(array.shape[1])]


def _are_binary(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "O":
        return all(isinstance(value, Real) and float(value) in (0, 1) for value in array.flat)
    return array.dtype.kind in "biuf" and bool(((array == 0) | (array == 1)).all())


def _separator_seen(labels: Iterable[Any]) -> str | None:
    """What separates the labels of texts, by its look; None if they are no sets of labels."""
    # Either all texts end in it, or there is a label that stands in two different texts, and labels repeat.
    counts: Counter[str] = Counter()
    for label in labels:
        if not isinstance(label, str) and not is_missing(label):
            return None
        counts[label.strip() if isinstance(label, str) else ""] += 1
    for separator in SEPARATORS_SEEN:
        joined = [text for text in counts if separator in text]
        if joined and all(text.endswith(separator) for text in counts):
            return separator
        sets = {text: set(_parts(text, separator)) for text in counts}
        texts = Counter(label for own in sets.values() for label in own)
        mentions = sum(number * len(sets[text]) for text, number in counts.items())
        shared = any(texts[label] > 1 for text in joined for label in sets[text])
        if shared and LEAST_MENTIONS * len(texts) <= mentions:
            return separator
    return None


def _parts(label: Any, separator: str) -> list[Any]:
    if isinstance(label, str):
        return [part.strip() for part in label.split(separator) if part.strip()]
    if isinstance(label, list | tuple | set | frozenset):
        return [plain_label(one) for one in label]
    if is_missing(label):
        return []
    return [plain_label(label)]


def _checked(label: Any, where: str) -> Hashable:
    if isinstance(label, str):
        label = label.strip()
    if not isinstance(label, Hashable) or is_missing(label) or label == "":
        raise ValueError(f"{where} holds '{printable(str(label), 40)}', which is no name: give a list of names.")
    return label


RARE = 1 / 3  # a class is rare if it has less than this share of the examples that a class has on average

BALANCED_WEIGHT = "balanced"  # all classes have the same weight in a training

AUTO_WEIGHT = "auto"  # all classes have the same weight if networks are chosen by balanced accuracy

ClassWeight = Literal["auto", "balanced"] | None


def balanced_task(task: Task, metric: str | None, class_weight: Any = AUTO_WEIGHT) -> tuple[Task, str]:
    """A task with the metric that suits its classes, and examples with the weights that suit the metric."""
    # The balanced accuracy is taken if the rarest class of the train part is rare, unless a metric is given, or the
    # task's objective names one; a sentence says so. `balanced` divides the weight of each example by the size of its
    # class in the train part, with 1 as the mean; `auto` is `balanced` with the balanced accuracy. Or the weight of
    # each class is given by its name; others have 1. Of several labels, `balanced` gives the examples with each class
    # the weight of all without it, and `auto` none.
    if metric is not None and (goal := task.goal.judged_by(metric)) != task.goal:
        task = replace(task, objective=goal)
    if isinstance(task.goal, SeveralLabels):
        return _balanced_sets(task, task.goal, class_weight), ""
    if not isinstance(task.goal, Classification):
        if class_weight not in (None, AUTO_WEIGHT):
            raise ValueError(f"Task '{task.id}' has no classes: leave 'class_weight' out.")
        return task, ""
    sizes, sentence = task.train.labels.bincount(minlength=task.way), ""
    rarest = int(sizes.argmin())
    if metric is None and task.objective is None and int(sizes[rarest]) < RARE * float(sizes.double().mean()):
        task = replace(task, objective=task.goal.judged_by(BALANCED))
        sentence = (
            f"class '{printable(task.goal.names(task.classes)[rarest], 40)}' has {sizes[rarest]:,} of "
            f"{len(task.train):,} examples to learn from: networks are chosen by {BALANCED}, the mean recall."
        )
    if class_weight == AUTO_WEIGHT:
        class_weight = BALANCED_WEIGHT if task.goal.metric == BALANCED else None
    if class_weight is None:
        return task, sentence
    if class_weight == BALANCED_WEIGHT:
        weights = len(task.train) / (task.way * sizes.clamp(min=1).float())
    else:
        weights = torch.tensor(_given_weights(task.goal.names(task.classes), class_weight), device=sizes.device)
    return replace(task, train=_weighted(task.train, weights), val=task.val and _weighted(task.val, weights)), sentence


def natural_goal(task: Task) -> Objective:
    """A task's objective; if its classes count differently in training, with the shift that undoes this."""
    goal, weights = task.goal, task.train.weights
    if not isinstance(goal, Classification) or weights is None:
        return goal
    by_class = [weights[task.train.labels == place].unique().tolist() for place in range(goal.way)]
    if any(len(own) != 1 or own[0] <= 0 for own in by_class) or len({own[0] for own in by_class}) == 1:
        return goal  # examples have weights of their own, or all the same
    return replace(goal, shift=tuple(round(-math.log(own[0]), 6) for own in by_class))


def _balanced_sets(task: Task, goal: SeveralLabels, class_weight: Any) -> Task:
    """A task of several labels whose loss has the weights of the classes."""
    # If they are balanced, the examples with a class together weigh as much as those without it.
    if class_weight in (None, AUTO_WEIGHT):
        return task
    number, with_class = len(task.train), task.train.labels.sum(0).tolist()
    if class_weight == BALANCED_WEIGHT:
        weights = [(number / (2 * max(1.0, number - own)), number / (2 * max(1.0, own))) for own in with_class]
    else:
        weights = [(1.0, weight) for weight in _given_weights(goal.names(task.classes), class_weight)]
    return replace(task, objective=replace(goal, weights=tuple(weights)))


def _given_weights(names: Sequence[str], class_weight: Any) -> list[float]:
    """The weight of each class, 1 unless it is given."""
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight = '{printable(str(class_weight), 40)}' is unknown: give 'balanced', None, or a weight for "
            "each class."
        )
    given = {str(name): float(weight) for name, weight in class_weight.items()}
    for name, weight in given.items():
        if name not in names:
            raise ValueError(f"class_weight has '{printable(name, 40)}', which is none of the classes: leave it out.")
        if not 0 <= weight < math.inf:
            raise ValueError(f"class_weight of '{printable(name, 40)}' is {weight:g}: give a number from 0 on.")
    return [given.get(name, 1.0) for name in names]


def _weighted(part: Split, weights: Tensor) -> Split:
    own = weights[part.labels]
    return replace(part, weights=own if part.weights is None else own * part.weights)
