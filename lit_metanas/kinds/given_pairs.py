"""Labelled examples in memory as people have them: pairs, data frames, columns, records, and names of files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from numbers import Number
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.text import hint, printable
from lit_metanas.kinds.images.image_files import SUFFIXES, USUAL_IMAGE, read_images
from lit_metanas.kinds.kind import known_kinds
from lit_metanas.kinds.labelled_examples import LabelledExamples
from lit_metanas.kinds.rows.cells import RawTable, as_table, has_names
from lit_metanas.kinds.rows.text_rows import usual_rows
from lit_metanas.kinds.texts.table_files import LONGEST_RAW_TEXT, read_utf8
from lit_metanas.kinds.texts.text_tables import LABEL_COLUMNS, listed, usual_column
from lit_metanas.kinds.texts.text_task import usual_tokens
from lit_metanas.tasks.labels import Groups, hardly_repeat
from lit_metanas.tasks.task import Split, Task, TaskCollection

# A path, a task, a data set of torch, a pair of examples and labels, a data frame, or columns or records.
Given = str | os.PathLike[str] | Task | TaskCollection | Dataset[Any] | Sequence[Any] | Mapping[str, Any]

# The kind of labelled examples in memory.
ExampleKind: TypeAlias = Literal["rows", "images", "texts"]


def is_pair(given: Any) -> TypeGuard[Sequence[Any]]:
    """Whether something has two parts, examples and labels, and is not a list of two records."""
    return isinstance(given, tuple | list) and len(given) == 2 and not has_names(given)


def labelled_pair(
    name: str, given: Any, label: str | None = None, group: Groups | None = None
) -> tuple[Any, Any, Groups | None]:
    """Examples, labels and groups: of a pair, or of the columns of a data frame, of lists by name or of records."""
    columns = _columns(given)
    if columns is None and is_pair(given):
        if label is not None:
            raise ValueError(
                f"label = '{printable(label, 40)}' names a column, and the labels are the second part of the pair: "
                "leave it out."
            )
        return given[0], given[1], group
    if columns is None:
        raise ValueError(
            f"'{name}' cannot be a {type(given).__name__}: give a path, a task, a data set of torch, a data frame, "
            "records, or a pair of examples and labels, such as (X, y)."
        )
    if hasattr(given, "target") and {"data", "target"} <= {*columns}:  # of scikit-learn's data sets
        return given["data"], given["target"], group
    names = [each for each in columns if isinstance(each, str)]
    found = usual_column(names, LABEL_COLUMNS) if label is None else label
    if found is None:
        raise ValueError(f"'{name}' has the columns {listed(names)}: name that of the labels by 'label'.")
    if found not in names:
        raise ValueError(
            f"'{name}' has no column '{printable(found, 40)}': {hint(found, names, f'it has {listed(names)}.')}"
        )
    labels, others = list(columns[found]), [each for each in columns if each != found]
    if isinstance(group, str) and group in names:
        others = [each for each in others if each != group]
        group = list(columns[group])
    if wrong := next((each for each in others if len(columns[each]) != len(labels)), None):
        raise ValueError(
            f"Column '{printable(str(wrong), 40)}' of '{name}' has {len(columns[wrong])} values for {len(labels)} "
            "labels: give as many."
        )
    if len(others) == 1 and not _are_cells(list(columns[others[0]])):
        return list(columns[others[0]]), labels, group
    if hasattr(given, "columns"):
        return given[others], labels, group
    rows = zip(*(columns[each] for each in others), strict=True)
    return [dict(zip(others, row, strict=True)) for row in rows], labels, group


def _are_cells(column: Sequence[Any]) -> bool:
    """Whether the only column holds numbers, dates or categories, and no texts, images or names of files."""
    known = [each for each in column if each is not None]
    if all(isinstance(each, str) for each in known):
        return not hardly_repeat(Counter(known))
    return all(isinstance(each, Number | date | np.generic) or getattr(each, "ndim", 1) == 0 for each in known)


def _columns(given: Any) -> Mapping[Any, Any] | None:
    if isinstance(given, Mapping):
        return given
    if has_names(given):
        names = getattr(given, "columns", None)
        if names is not None:
            return {name: given[name] for name in names}
        return {name: [row.get(name) for row in given] for name in dict.fromkeys(key for row in given for key in row)}
    if hasattr(given, "column_names"):  # as Hugging Face's data sets have them
        return {name: given[name] for name in given.column_names}
    return None


def contents_of(examples: Any, side: int | None) -> Any:
    """What is in the files that examples name, images with so many pixels a side; others stay as they are."""
    if not name_files(examples):
        return examples
    files = [Path(each) for each in examples]
    if files[0].suffix.lower() in SUFFIXES:
        side = side or USUAL_IMAGE.height
        return read_images(files, (3, side, side))
    if files[0].suffix.lower() == ".txt":
        return [read_utf8(file, LONGEST_RAW_TEXT) for file in files]
    raise ValueError(
        f"The examples are names of files, such as '{printable(str(files[0]), 60)}': give the path of a table with "
        "their names and labels, or of a folder with a sub-folder of files for each class."
    )


def name_files(examples: Any) -> bool:
    """Whether examples are names of files with such, by the first of them."""
    if not isinstance(examples, Iterable) or isinstance(examples, str | Mapping):
        return False
    first = list(islice(examples, 3))
    suffixes = {suffix for kind in known_kinds() for suffix in kind.class_files}
    # A long text is no file to `os.path`, and an error to `Path`.
    return bool(first) and all(
        isinstance(each, str | os.PathLike) and Path(each).suffix.lower() in suffixes and os.path.isfile(each)
        for each in first
    )


def check_no_files(texts: Sequence[Any]) -> None:
    """Refuse texts that are names of files with the examples."""
    if name_files(texts):
        raise ValueError(
            f"The texts are names of files, such as '{printable(str(texts[0]), 60)}': give what is in them, or give "
            "`auto` a folder with a sub-folder of files for each class."
        )


def kind_of_examples(X: Any) -> ExampleKind:
    """The kind of labelled examples in memory: texts if one of them is a text, images, or else rows of a table."""
    dimensions = _dimensions(X)
    if dimensions < 2 and isinstance(X, Iterable) and any(isinstance(each, str) for each in X):
        return "texts"
    if dimensions in (3, 4):
        return "images"
    return "rows"


def _dimensions(value: Any) -> int:
    """Of an array, or of lists within each other, by the first of each."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return 1 + _dimensions(value[0])
    return int(getattr(value, "ndim", 0))


def task_without_test(
    X: Any,
    kind: ExampleKind,
    examples: LabelledExamples,
    share: float,
    seed: int,
    columns: tuple[str, ...],
    weights: NDArray[np.float32] | None,
) -> Task:
    """A task of checked examples, of which a share chooses, and the others are learned from.

    Nobody looks at the test part of such a task, which is the part to choose by.
    """
    divided = examples.divided((None, share, 0.0), seed)[:2]
    if not len(divided[1][0]):
        raise ValueError("No group is left to choose architectures by: give examples of more, or no 'groups'.")
    if kind == "rows":
        X = as_table(X, names=columns, name="X")
    train, val = inputs = [_taken(X, places.numpy()) for places, _ in divided]
    made: Preprocessing | None = None
    raw: tuple[Any, ...] = (train, val, val)
    match kind:
        case "images":
            inputs, raw = [*map(as_floats, inputs)], ()
        case "rows":
            made = replace(usual_rows(train), names=columns).fitted(train)
        case _:
            made = usual_tokens(train)
    if made is not None:
        inputs = [made.encode(own) for own in inputs]
    learned, chosen = (Split(own, targets) for own, (_, targets) in zip(inputs, divided, strict=True))
    if weights is not None:
        own, other = (torch.from_numpy(weights)[places] for places, _ in divided)
        learned, chosen = replace(learned, weights=own), replace(chosen, weights=other)
    return replace(examples.task(kind, [learned, chosen, chosen], preprocessing=made), raw=raw)


def with_weight(X: Any, y: Any, groups: Any, sample_weight: Any) -> tuple[Any, Any, Any, NDArray[np.float32]]:
    """The examples that have a weight, with their labels, groups and weights."""
    weights = np.asarray(sample_weight, dtype=np.float32)
    if weights.shape != (len(y),):
        raise ValueError(
            f"sample_weight has the shape {' x '.join(map(str, weights.shape))}, and there are {len(y)} examples: give "
            "one number each."
        )
    (kept,) = weights.nonzero()
    if not len(kept) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight has numbers that are negative or not finite, or zeros alone: give others.")
    if len(kept) < len(y):
        X = _taken(X, kept)
        groups = None if groups is None else np.asarray(groups)[kept]
    return X, y[kept], groups, weights[kept]


def _taken(X: Any, places: NDArray[np.int64]) -> Any:
    if isinstance(X, list):
        return [X[place] for place in places]
    return X.taken(places) if isinstance(X, RawTable) else X[places]
