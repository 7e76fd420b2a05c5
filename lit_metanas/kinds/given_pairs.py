"""Labelled examples in memory as people have them: pairs, data frames, columns, records, and names of files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import islice
from numbers import Number
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from lit_metanas.io.text import hint, printable
from lit_metanas.kinds.images.image_files import SUFFIXES, USUAL_IMAGE, read_images
from lit_metanas.kinds.kind import known_kinds
from lit_metanas.kinds.rows.cells import has_names
from lit_metanas.kinds.texts.table_files import LONGEST_RAW_TEXT, read_utf8
from lit_metanas.kinds.texts.text_tables import LABEL_COLUMNS, listed, usual_column
from lit_metanas.tasks.labels import Groups, hardly_repeat


def is_pair(given: Any) -> TypeGuard[Sequence[Any]]:
    """Whether something has two parts, examples and labels, and is not a list of two records."""
    return isinstance(given, tuple | list) and len(given) == 2 and not has_names(given)


class GivenPair(NamedTuple):
    """Examples with their labels, and perhaps what says which belong together."""

    examples: Any
    labels: Any
    group: Groups | None = None


def labelled_pair(name: str, given: Any, label: str | None = None, group: Groups | None = None) -> GivenPair:
    """A pair as it is, or of columns: those of a data frame, of lists by name or of records; one may be the groups."""
    columns = _columns(given)
    if columns is None and is_pair(given):
        if label is not None:
            raise ValueError(
                f"label = '{printable(label, 40)}' names a column, and the labels are the second part of the pair: "
                "leave it out."
            )
        return GivenPair(given[0], given[1], group)
    if columns is None:
        raise ValueError(
            f"'{name}' cannot be a {type(given).__name__}: give a path, a task, a data set of torch, a data frame, "
            "records, or a pair of examples and labels, such as (X, y)."
        )
    if hasattr(given, "target") and {"data", "target"} <= {*columns}:  # of scikit-learn's data sets
        return GivenPair(given["data"], given["target"], group)
    names = [each for each in columns if isinstance(each, str)]
    found = usual_column(names, LABEL_COLUMNS) if label is None else label
    if found is None:
        raise ValueError(f"'{name}' has the columns {listed(names)}: name that of the labels by 'label'.")
    if found not in names:
        fix = hint(found, names, f"it has {listed(names)}.")
        raise ValueError(f"'{name}' has no column '{printable(found, 40)}': {fix}")
    own = group if isinstance(group, str) and group in names else None
    labels, others = list(columns[found]), [each for each in columns if each not in (found, own)]
    if own is not None:
        group = list(columns[own])
    if wrong := next((each for each in others if len(columns[each]) != len(labels)), None):
        raise ValueError(
            f"Column '{printable(str(wrong), 40)}' of '{name}' has {len(columns[wrong])} values for {len(labels)} "
            "labels: give as many."
        )
    if len(others) == 1 and not _are_cells(list(columns[others[0]])):
        return GivenPair(list(columns[others[0]]), labels, group)
    if hasattr(given, "columns"):
        return GivenPair(given[others], labels, group)
    rows = zip(*(columns[each] for each in others), strict=True)
    return GivenPair([dict(zip(others, row, strict=True)) for row in rows], labels, group)


def _are_cells(column: Sequence[Any]) -> bool:
    """Whether the only column holds numbers, dates or categories, and no texts, images or names of files."""
    known = [each for each in column if each is not None]
    if all(isinstance(each, str) for each in known):
        return not hardly_repeat(Counter(known))
    return all(isinstance(each, Number | date | np.generic) or getattr(each, "ndim", 1) == 0 for each in known)


def _columns(given: Any) -> Mapping[Any, Any] | None:
    """Columns by name; None where there are none."""
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
    return bool(first) and all(
        isinstance(each, str | os.PathLike) and Path(each).suffix.lower() in suffixes and _is_file(each)
        for each in first
    )


def check_no_files(texts: Sequence[Any]) -> None:
    """Refuse texts that are names of files with the examples."""
    if name_files(texts):
        raise ValueError(
            f"The texts are names of files, such as '{printable(str(texts[0]), 60)}': give what is in them, or give "
            "`auto` a folder with a sub-folder of files for each class."
        )


def _is_file(text: str | os.PathLike[str]) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # of a long text
        return False
