"""What a user gives: the task that is made of it, and other preprocessings of the same examples."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.class_folders import excluding
from lit_metanas.io.packages import class_named
from lit_metanas.io.text import number_of, option_words, printable, writable
from lit_metanas.kinds.dates import parts_by_column
from lit_metanas.kinds.file_reading import FileReading, Source
from lit_metanas.kinds.given_pairs import Given, contents_of, kind_of_examples, labelled_pair
from lit_metanas.kinds.images.array_tasks import task_from_arrays, task_from_dataset
from lit_metanas.kinds.kind import Kind, MadeBefore, kind_named, kind_of, within_memory
from lit_metanas.kinds.kind_of_path import kind_of_path, parts_in
from lit_metanas.kinds.texts.table_files import is_table_file, read_whole_rows, tables_in
from lit_metanas.kinds.texts.text_task import task_from_texts
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.tasks.labels import Groups
from lit_metanas.tasks.number_targets import Targets, named_targets
from lit_metanas.tasks.splits import FEWEST_OF_A_CLASS
from lit_metanas.tasks.task import Task, TaskCollection, warn_of_data


def read_given(
    data: Given,
    *,
    kind: str | None = None,
    test: Given | None = None,
    group: str | Groups | None = None,
    label: str | None = None,
    min_per_class: int | None = None,
    objective: str | None = None,
    shape: int | None = None,
    window: float | None = None,
    test_by: str | None = None,
    exclude: Sequence[str] | None = None,
    prepared: Any = None,
    start: MadeBefore | None = None,
    reading: FileReading | None = None,
) -> Task:
    """The task of what was given to ``auto``, split as the task's class splits it, without what is excluded."""
    # Inputs are made by `prepared`, or as those of the meta-trained weights `start` were, or else as usual, images with
    # sides of `shape` pixels, and sounds taken in windows of `window` seconds. Files are read by `reading`.
    asked = [name for name, value in (("shape", shape), ("window", window)) if value is not None]
    if asked and start is not None:
        raise ValueError(f"'start' keeps the preprocessing of its model: leave '{asked[0]}' out.")
    if test_by is not None:
        asked.append("test_by")
        if other := next((name for name, value in (("test", test), ("group", group)) if value is not None), ""):
            raise ValueError(f"'test_by' and '{other}' both say which examples are tested: leave one out.")
    if label is not None and isinstance(data, str | os.PathLike) and not _has_table(Path(data)):
        raise ValueError(f"label = '{printable(label, 40)}' names a column, and the data are no table: leave it out.")
    named = None if kind is None else kind_named(kind)
    targets, wanted = named_targets(objective), None
    if objective is not None and targets is None:
        targets = "classification"
        wanted = class_named(objective, Objective, "objective", "grades.Ordinal")  # type: ignore[type-abstract]
    with excluding(exclude or ()) as excluded:
        if isinstance(data, Task | TaskCollection):
            if asked:
                raise ValueError(f"A task has its inputs: leave '{asked[0]}' out, or give it to what makes the task.")
            task = _task_itself(data, test=test, group=group, min_per_class=min_per_class)
        elif isinstance(data, str | os.PathLike):
            source = replace(
                _source(data, test, group),
                label=label,
                targets=targets,
                side=shape,
                window=window,
                prepared=prepared,
                test_by=test_by,
                reading=reading,
            )
            task = _of_path(data, source, named, asked, min_per_class, start)
        elif named is None or named.labelled:
            if test_by is not None:
                raise ValueError(
                    "'test_by' names a column of a file, and the data are none: give the test part by 'test'."
                )
            task = _in_memory(data, label, named, test, group, min_per_class, targets, prepared, start, shape)
            _check_own(kind_of(task, kind), asked)
            if shape is not None and prepared is None:
                task = kind_of(task, kind).resized(task, shape)
        else:
            raise ValueError(
                f"Examples in memory have labels, so these are no '{named.name}': give the path of a file or folder."
            )
    if idle := [pattern for pattern, names in excluded.items() if not names]:
        raise ValueError(f"exclude = '{printable(idle[0], 40)}' names no column and no file: correct its spelling.")
    if isinstance(task.goal, Regression) and min_per_class is not None:
        raise ValueError(f"Task '{task.id}' has numbers and no classes: leave 'min_per_class' out.")
    if targets not in (None, task.goal.kind):
        raise ValueError(f"Task '{task.id}' has {task.goal.noun}: leave 'objective' out.")
    if wanted is None:
        return task
    return replace(task, objective=wanted.for_classes(task.way))


def _of_path(
    data: str | os.PathLike[str],
    source: Source,
    named: Kind | None,
    asked: Sequence[str],
    least: int | None,
    start: MadeBefore | None,
) -> Task:
    if source.test is not None and source.test_by is not None:
        raise ValueError(f"'{writable(str(data))}' has a test part: leave 'test_by' out.")
    with excluding([source.test_by] if source.test_by else []):
        own = named or kind_of_path(source.path, source.group, source.label)
    if not own.labelled and least is not None:
        raise ValueError(f"Data of the kind '{own.name}' have no classes: leave 'min_per_class' out.")
    _check_own(own, asked)
    made = _asked(own, source.prepared, start, str(data))
    task = own.read(replace(source, least=_least(data, source.test, least), prepared=made))
    if source.path == Path(data):
        return task
    return replace(task, id=Path(data).resolve().name)  # not ``train``


def _asked(kind: Kind, prepared: Any, start: MadeBefore | None, place: str) -> Any:
    """What makes inputs: as those of the meta-trained weights ``start`` were made, if there are such."""
    if start is None:
        return prepared
    return kind.as_before(start, place)


def _check_own(kind: Kind, asked: Sequence[str]) -> None:
    """Refuse options that say how examples of other kinds are read."""
    if foreign := [name for name in asked if name not in kind.own_options]:
        raise ValueError(f"Data of the kind '{kind.name}' have no '{foreign[0]}': leave it out.")


def _source(data: str | os.PathLike[str], test: Given | None, group: Any) -> Source:
    """What the examples of a path, or of its parts ``train`` and ``test``, are read by."""
    if group is not None and not isinstance(group, str):
        raise ValueError("'group' must be the name of a column, 'folder' or a regular expression, of a path's files.")
    path = existing_path(data)
    if test is not None:
        return Source(path, existing_path(test, "test"), group)
    parts = parts_in(path)
    if parts.left_out:
        warn_of_data(f"Of '{writable(str(path))}' is left out: {parts.left_out}.")
    return Source(parts.train, parts.test, group)


def _has_table(path: Path) -> bool:
    return is_table_file(path) or (path.is_dir() and bool(tables_in(path)))


def _least(data: Given, test: Given | None, least: int | None) -> int:
    """Examples of the smallest class that is kept: by default enough for all parts that are drawn."""
    if least is None:
        return FEWEST_OF_A_CLASS - has_test_part(data, test)
    return least


def _in_memory(
    data: Any,
    label: str | None,
    named: Kind | None,
    test: Given | None,
    group: Groups | None,
    least: int | None,
    targets: Targets | None,
    prepared: Any,
    start: MadeBefore | None,
    side: int | None,
) -> Task:
    divided: Any = {"group": group, "min_per_class": _least(data, test, least), "targets": targets}
    if isinstance(data, Dataset):
        if test is not None and not isinstance(test, Dataset):
            raise ValueError(f"The test part of a data set must be one, too, not {type(test).__name__}.")
        task = task_from_dataset(data, test, preprocessing=prepared, **divided)
    else:
        examples, labels, divided["group"] = labelled_pair("data", data, label, group)
        examples = contents_of(examples, side)
        tested: tuple[Any, Any] = (None, None)
        if test is not None:
            shown, answers, _ = labelled_pair("test", test, label, group)
            tested = contents_of(shown, side), answers
        if named is not None:
            found = named.in_memory(
                examples, labels, tested, prepared=_asked(named, prepared, start, "data"), **divided
            )
            if found is not None:
                return found
        if kind_of_examples(examples) == "texts":
            made = _asked(kind_named("texts"), prepared, start, "data")
            return task_from_texts(examples, labels, *tested, preprocessing=made, **divided)
        task = task_from_arrays(examples, labels, *tested, preprocessing=prepared, **divided)
    own = kind_of(task)
    if start is None or not own.converts:
        return task
    before = own.as_before(start, task.id)
    if before in (None, task.shape):
        return task
    return own.convert(task, before)


def other_ways(data: Given, task: Task, **given: Any) -> dict[str, Callable[[], Task]]:
    """What makes the same task under each preprocessing to choose from, by its label, the usual one first.

    Networks take the inputs of a given task, which have no label; linear models those that suit them, if its raw
    examples are known.
    """
    own, source = kind_of(task, given.get("kind")), None
    if isinstance(data, str | os.PathLike):
        source = replace(_source(data, given.get("test"), given.get("group")), label=given.get("label"))
    if not isinstance(data, Task | TaskCollection):
        offered = own.preprocessings(task, source)
    elif not task.raw or not own.linear_view:
        return {}
    else:
        offered = {"": task.preprocessing, own.linear_view: own.preprocessings(task, None)[own.linear_view]}
    offered = within_memory(task, offered)
    if len(offered) < 2:
        return {}
    return {label: partial(read_under, data, task, one, **given) for label, one in offered.items()}


def read_under(data: Given, task: Task, prepared: Any, **given: Any) -> Task:
    """The same task under another preprocessing: read again, or made of what is in memory."""
    own = kind_of(task, given.get("kind"))
    if isinstance(data, Task | TaskCollection) and task.raw:
        return _remade(task, prepared)
    if not isinstance(data, str | os.PathLike) and own.converts:
        return own.convert(task, prepared)
    return read_given(data, prepared=prepared, **given)


def _remade(task: Task, prepared: Any) -> Task:
    known, val, _ = task.raw
    if isinstance(known, list):  # n-grams of validation texts alone count once these are learned from
        known = [*known, *val]
    made, raw = prepared.fitted(known), iter([own for own in task.raw if len(own)])  # in the order of the parts
    remade = task.with_inputs(lambda inputs: made.encode(next(raw)).to(inputs.device))
    return replace(remade, vocabulary=vocabulary_of(made.shape), preprocessing=made)


def describe_data(task: Task, kind: Kind, data: Given, asked: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what was read, and how a user changes what was found; ``asked`` are arguments of ``read_given``."""
    columns = describe_columns(data, kind, *(asked[name] for name in ("group", "label", "test_by", "exclude")))
    yield describe_given(task, kind, grouped=asked["group"] is not None) + columns
    if asked["objective"] is not None:
        return
    classes = option_words("objective", "classification")
    if isinstance(task.goal, Regression) and not isinstance(data, Task):
        yield f"targets are numbers: regression; give {classes} for classes."
    found = isinstance(data, str | os.PathLike)  # by the look of a column
    if isinstance(task.goal, SeveralLabels) and found and "," not in (asked["label"] or ""):
        most = int(task.train.labels.sum(1).argmax())
        (shown,) = task.goal.show(task.goal.answers(task.train.labels[most][None]), task.train.inputs[:1], task)
        yield (
            f"an example may have several labels, such as '{printable(shown, 80)}'; give {classes} if these are one "
            "class."
        )


def describe_given(task: Task, kind: Kind, *, grouped: bool = False) -> str:
    """What a task was taken for, in a line, and whether no group is in two parts."""
    parts = {"to learn from": task.train, "to choose by": task.val, "to test": task.test}
    sizes = {what: len(part) for what, part in parts.items() if part is not None}
    examples = f"{sum(sizes.values()):,} {kind.noun}"
    if isinstance(task.goal, Classification):
        examples += f" of {number_of(task.way, 'class')}"
    if isinstance(task.goal, SeveralLabels):
        mean = float(sum(part.labels.sum() for part in parts.values() if part is not None)) / sum(sizes.values())
        examples += f" with {mean:.2g} of {number_of(task.way, 'label')} on average"
    shares = [f"{size:,} {what}" for what, size in sizes.items()]
    if grouped:
        shares.append("in whole groups")
    return f"'{printable(task.id, 40)}': {examples}{kind.describe(task)}: {', '.join(shares)}."


def describe_columns(
    data: Given,
    kind: Kind,
    group: Any,
    label: str | None = None,
    test_by: str | None = None,
    exclude: Sequence[str] | None = None,
) -> str:
    """Which columns of a table the labels and texts were found in, and which rows are tested; else empty."""
    if not isinstance(data, str | os.PathLike):
        return ""
    path, divided, left_out = parts_in(Path(data)).train, "", [*(exclude or ())]
    if test_by is not None:
        divided = parts_by_column(list(read_whole_rows(path)), writable(str(path)), test_by).told
        left_out.append(test_by)
    with excluding(left_out):
        return kind.describe_columns(Source(path, group=group, label=label)) + divided


def _task_itself(
    data: Task | TaskCollection, *, test: Given | None, group: str | Groups | None, min_per_class: int | None
) -> Task:
    refused = {
        "A task has its classes: leave 'min_per_class' out, or give it to what makes the task.": min_per_class,
        "A task has its own test part: leave 'test' out.": test,
        "A task is divided already: leave 'group' out, or give it to what makes the task.": group,
    }
    if messages := [message for message, value in refused.items() if value is not None]:
        raise ValueError(messages[0])
    if isinstance(data, Task):
        return data
    if len(data) != 1:
        raise ValueError(f"{type(data).__name__} has {len(data)} tasks: give one of them, such as [0].")
    return data[0]


def existing_path(given: Given, key: str = "data") -> Path:
    """A path that is there; ``key`` is ``test`` where it is that of the test part."""
    if not isinstance(given, str | os.PathLike):
        raise ValueError(f"The test part of a path must be a path, too, not {type(given).__name__}.")
    if not Path(given).exists():
        what = {"data": "the path of your data"}.get(key, f"by '{key}' the path of the test part")
        raise FileNotFoundError(f"There is no file or folder '{writable(str(given))}': give {what}.")
    return Path(given)


def has_test_part(data: Given, test: Given | None) -> bool:
    """Whether the test part was given, as that of a task is, so that none is drawn."""
    return (
        test is not None
        or isinstance(data, Task | TaskCollection)
        or (isinstance(data, str | os.PathLike) and parts_in(Path(data)).test is not None)
    )
