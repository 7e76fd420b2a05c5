"""What was given: its kind, the task that is made of it, and other ways to make it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.automl.data_kinds import (
    DATA_KINDS,
    check_no_files,
    image_shapes,
    kind_of,
    kind_of_examples,
    within_memory,
)
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.class_folders import FOLDER, files_in
from lit_metanas.io.files import open_regular
from lit_metanas.io.text import first_few, nearest, number_of, printable, writable
from lit_metanas.kinds.images.array_tasks import task_from_arrays
from lit_metanas.kinds.images.dataset_tasks import task_from_dataset
from lit_metanas.kinds.images.folders import FolderTask
from lit_metanas.kinds.images.image_files import SUFFIXES, shorter_side
from lit_metanas.kinds.pairs.pair_files import TARGET_TEXT_COLUMNS, find_pair_columns, read_pairs
from lit_metanas.kinds.pairs.parallel_task import ParallelTask
from lit_metanas.kinds.questions.squad import SquadTask
from lit_metanas.kinds.rows import TableTask
from lit_metanas.kinds.rows.row_tasks import all_numbers, find_row_columns, label_of_rows
from lit_metanas.kinds.rows.standardised_columns import NumericColumns
from lit_metanas.kinds.sounds.audio_folders import AudioFolderTask
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.sound_files import SOUND_FORMATS, SOUND_SUFFIXES
from lit_metanas.kinds.sounds.transcripts import TranscriptTask
from lit_metanas.kinds.texts.characters import characters_for
from lit_metanas.kinds.texts.labelled_text import Labelled, checked_text, grouped_by_label
from lit_metanas.kinds.texts.text_folders import is_dataset
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    SUFFIXES_OF_TABLES,
    TEXT_COLUMNS,
    NamelessColumnsError,
    TableRow,
    check_columns,
    columns_of,
    find_columns,
    listed,
    read_rows,
    usual_column,
)
from lit_metanas.kinds.texts.text_task import TextTask, labelled_texts, task_from_texts
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.labels import Groups
from lit_metanas.tasks.splits import FEWEST_OF_A_CLASS, FEWEST_OF_A_LABEL, tell_shared_groups
from lit_metanas.tasks.task import Split, Task, TaskCollection, warn_of_data
from lit_metanas.training.export.exported_program import fit_images
from lit_metanas.training.task_start import TaskStart

Given = str | os.PathLike[str] | Task | TaskCollection | Dataset[Any] | Sequence[Any]
"""A path, a task, a data set of torch, or a pair of examples and labels."""

_TO_LEARN_FROM = frozenset({"train", "training"})
_PARTS = _TO_LEARN_FROM | {"val", "valid", "validation", "dev", "test", "testing", "eval"}
"""Names of folders that hold a part of the examples each, in small letters."""

_WITHOUT_CLASSES = frozenset({"transcripts", "pairs", "questions"})
"""Kinds of data whose examples have no labels."""

SOUND_TABLES = (".csv", ".tsv")
"""How the names of tables of sounds end."""

_FILES_OF = {
    "images": SUFFIXES,
    "sounds": {*SOUND_SUFFIXES, *SOUND_TABLES},
    "transcripts": {*SOUND_SUFFIXES, *SOUND_TABLES},
    "texts": {".txt", ".arrow"},
}
"""How the names of files end that are read of a folder, by the kind of examples; those of a saved data set, too."""


def read_given(
    data: Given,
    *,
    kind: str | None = None,
    test: Given | None = None,
    group: str | Groups | None = None,
    min_per_class: int | None = None,
    prepared: Preprocessing | ImageShape | None = None,
    start: TaskStart | None = None,
) -> Task:
    """The task of what was given, split as the task's class splits it.

    Args:
        data: a path, a task, a data set of torch, or a pair of examples and labels.
        kind: what the examples are, one of ``DATA_KINDS``; None finds out.
        test: the test part, given as ``data`` is; None takes some of ``data``.
        group: which examples belong together, and so into one part; see ``auto``.
        min_per_class: see ``auto``.
        prepared: what makes inputs of the examples, or the shape of images of a path; None is the usual one.
        start: meta-trained weights, whose inputs are made of images, sounds, texts and pairs of texts. A task and other
            data are left as they are.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it cannot be told what the data are, or they are malformed; or 'group' does not suit them.
    """
    if kind is not None and kind not in DATA_KINDS:
        near = nearest(kind, DATA_KINDS)
        hint = f"did you mean '{near}'?" if near else f"give one of {', '.join(DATA_KINDS)}."
        raise ValueError(f"There is no kind '{kind}': {hint}")
    if isinstance(data, Task | TaskCollection):
        return _task_itself(data, test=test, group=group, min_per_class=min_per_class)
    least = FEWEST_OF_A_CLASS - has_test_part(data, test) if min_per_class is None else min_per_class
    if isinstance(data, str | os.PathLike):
        path, test_path = existing_path(data), None if test is None else existing_path(test, "test")
        found = _folders_of_parts(path) if test_path is None else None
        if found is None and path.is_dir():
            _check_no_parts(path)
        path, test_path = found or (path, test_path)
        if group is not None and not isinstance(group, str):
            raise ValueError(
                "'group' must be the name of a column, 'folder' or a regular expression, of a path's files."
            )
        found_kind = kind or _kind_of_path(path, group)
        made = prepared if start is None else _made_as(start, found_kind, str(data))
        if found_kind in _WITHOUT_CLASSES and min_per_class is not None:
            raise ValueError(f"Data of the kind '{found_kind}' have no classes: leave 'min_per_class' out.")
        more = () if found_kind in _WITHOUT_CLASSES else (least,)
        task = _READERS[found_kind](path, test_path, group, *more, *(() if made is None else (made,)))
        return task if found is None else replace(task, id=Path(data).resolve().name)
    if kind in _WITHOUT_CLASSES:
        raise ValueError(
            f"Examples in memory have labels, so these are no '{kind}': give a path, or use AutoTranscriber, "
            "AutoTranslator or AutoAnswerer."
        )
    if isinstance(data, Dataset):
        task = _of_dataset(data, test, group, least, prepared)
    else:
        task = _of_arrays(data, test, group, least, prepared, start)
    other = None if start is None else _made_as(start, kind_of(task), task.id)
    return _at_shape(task, other) if isinstance(other, ImageShape) and other != task.shape else task


def _made_as(start: TaskStart, kind: str, place: str) -> Any:
    """What makes inputs of examples as those of a start were made; None where that is left to the kind of data.

    Args:
        start: the weights.
        kind: of the examples.
        place: where these are from, for messages.

    Raises:
        ValueError: the start is for other examples.
    """
    if kind == "images":
        return start.shape if isinstance(start.shape, ImageShape) else None
    inputs, outputs = start.vocabularies.inputs.preprocessing, start.vocabularies.outputs.preprocessing
    if inputs is None:
        return None
    if kind in ("sounds", "transcripts"):
        return LogMel.checked(inputs, writable(place))
    if kind == "texts":
        return TextPreprocessing.checked(inputs, writable(place))
    if kind == "pairs" and outputs is not None:
        return tuple(TextPreprocessing.checked(each, writable(place)) for each in (inputs, outputs))
    return None


def other_ways(
    data: Given,
    task: Task,
    *,
    kind: str | None,
    test: Given | None,
    group: str | Groups | None,
    min_per_class: int | None = None,
) -> dict[str, Callable[[], Task]]:
    """What makes the same task under each preprocessing to choose from, by its label, the usual one first.

    The arguments are those of ``read_given``, and the task that it gave. A task that was given as such has no other.
    """
    if isinstance(data, Task | TaskCollection):
        return {}
    found, path = kind_of(task), Path(data) if isinstance(data, str | os.PathLike) else None
    prepared: Mapping[str, Any]
    if found == "images":
        side = min(task.shape[1:])
        if path is not None:
            side = _image_side((_folders_of_parts(path) or (path,))[0], deep=group is not None)
        prepared = image_shapes(task, side)
    else:
        prepared = DATA_KINDS[found].preprocessings(task)
    offered: Mapping[str, Any] = within_memory(task, prepared)
    if len(offered) < 2:
        return {}
    if found == "images" and path is None:
        return {label: partial(_at_shape, task, shape) for label, shape in offered.items()}
    again = partial(read_given, data, kind=kind, test=test, group=group, min_per_class=min_per_class)
    return {label: partial(again, prepared=one) for label, one in offered.items()}


def _at_shape(task: Task, shape: ImageShape) -> Task:
    """The same images, as prediction brings them to a shape."""
    return _mapped(task, lambda own: fit_images(own, shape).to(own.dtype))


def _image_side(root: Path, *, deep: bool) -> int:
    """Pixels of the shorter side of images in a folder: the median of the first one of each class."""
    firsts = (files_in(folder, SUFFIXES, deep)[:1] for folder in _folders_in(root))
    sides = sorted(shorter_side(file) for files in firsts for file in files)
    return sides[len(sides) // 2]


def describe_given(task: Task, kind: str, *, grouped: bool = False) -> str:
    """What a task was taken for, in a line, and whether no group is in two parts."""
    parts = {"to learn from": task.train, "to choose by": task.val, "to test": task.test}
    sizes = {what: len(part) for what, part in parts.items() if part is not None}
    classes = f" of {number_of(task.way, 'class')}" if isinstance(task.goal, Classification) else ""
    shares = ", ".join(f"{size:,} {what}" for what, size in sizes.items())
    whole = ", in whole groups" if grouped else ""
    heard = f", heard for {task.preprocessing.heard}" if isinstance(task.preprocessing, LogMel) else ""
    examples = f"{sum(sizes.values()):,} {DATA_KINDS[kind].noun}{classes}{heard}"
    return f"'{printable(task.id, 40)}': {examples}: {shares}{whole}."


def raw_digest(data: Given, kind: str, test: Given | None, group: str | Groups | None) -> str | None:
    """A digest of files or texts as they were read, of which a preprocessing may hide something, such as capitals.

    Args:
        data: see ``read_given``.
        kind: of the examples.
        test: see ``read_given``.
        group: see ``read_given``.

    Returns:
        None of other data, of which the task tells all.
    """
    digest = hashlib.sha256()
    for given in (data, *(() if test is None else (test,))):
        if isinstance(given, str | os.PathLike):
            for name, file in _files_read(Path(given), kind, deep=group is not None):
                digest.update(json.dumps([name, _content(file)]).encode())
        elif kind == "texts" and isinstance(given, tuple | list):
            digest.update(json.dumps(list(map(str, given[0]))).encode())
        else:
            return None
    return digest.hexdigest()


def _content(file: Path) -> str | None:
    """A digest of a file; None where it cannot be read, as one that was left out."""
    try:
        with open_regular(file) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except (OSError, ValueError):
        return None


def _files_read(path: Path, kind: str, *, deep: bool) -> Iterator[tuple[str, Path]]:
    """The files that examples of a kind are read of, each with its name in the folder; of a file that itself."""
    if not path.is_dir():
        yield "", path
        return
    read = _FILES_OF[kind]
    for part in _folders_of_parts(path) or (path,):
        files = [*files_in(part, read), *(file for inner in _folders_in(part) for file in files_in(inner, read, deep))]
        yield from ((file.relative_to(path).as_posix(), file) for file in sorted(files))


def describe_columns(data: Given, kind: str, group: str | Groups | None) -> str:
    """Which columns of a table the labels and texts were found in; empty for anything else."""
    file = Path(data) if isinstance(data, str | os.PathLike) else Path()
    if kind not in ("rows", "texts") or file.suffix.lower() not in SUFFIXES_OF_TABLES or not file.is_file():
        return ""
    rows, place, own = list(read_rows(file)), writable(str(file)), group if isinstance(group, str) else None
    if kind == "rows":
        return f" Labels are in column '{printable(find_row_columns(rows, place, None, None, own)[0], 40)}'."
    text, label = find_columns(rows, place, None, None, group=own)
    left = [name for name in columns_of(rows) if name not in (text, label, own)]
    others = f"; other columns are ignored: {listed(left)}" if left else ""
    return f" Labels are in column '{printable(label, 40)}', texts in '{printable(text, 40)}'{others}."


def _task_itself(
    data: Task | TaskCollection, *, test: Given | None, group: str | Groups | None, min_per_class: int | None
) -> Task:
    if min_per_class is not None:
        raise ValueError("A task has its classes: leave 'min_per_class' out, or give it to what makes the task.")
    if test is not None:
        raise ValueError("A task has its own test part: leave 'test' out.")
    if group is not None:
        raise ValueError("A task is divided already: leave 'group' out, or give it to what makes the task.")
    if isinstance(data, Task):
        return data
    if len(data) != 1:
        raise ValueError(f"{type(data).__name__} has {len(data)} tasks: give one of them, such as [0].")
    return data[0]


def _of_arrays(
    data: Sequence[Any], test: Given | None, group: Groups | None, least: int, prepared: Any, start: TaskStart | None
) -> Task:
    """Of a pair of examples and labels.

    Raises:
        ValueError: it is none.
    """
    for name, pair in (("data", data), ("test", test)):
        if pair is not None and (not isinstance(pair, tuple | list) or len(pair) != 2):
            raise ValueError(
                f"'{name}' cannot be a {type(pair).__name__}: give a path, a task, a data set of torch, or a pair of "
                "examples and labels, such as (X, y)."
            )
    examples, labels = data
    given = (None, None) if test is None else tuple(test)  # type: ignore[arg-type]
    if kind_of_examples(examples) == "texts":
        check_no_files(examples)
        held_out = None if given[0] is None else list(given[0])
        prepared = prepared if start is None else _made_as(start, "texts", "data")
        columns = list(examples), labels, held_out, given[1]
        return task_from_texts(*columns, preprocessing=prepared, group=group, min_per_class=least)
    return task_from_arrays(examples, labels, *given, preprocessing=prepared, group=group, min_per_class=least)


def _of_dataset(data: Dataset[Any], test: Given | None, group: Groups | None, least: int, prepared: Any) -> Task:
    """Of a data set of torch.

    Raises:
        ValueError: the test part is none.
    """
    if test is not None and not isinstance(test, Dataset):
        raise ValueError(f"The test part of a data set must be one, too, not {type(test).__name__}.")
    return task_from_dataset(data, test, preprocessing=prepared, group=group, min_per_class=least)


def existing_path(given: Given, key: str = "data") -> Path:
    """A path that is there.

    Args:
        given: the path.
        key: ``data``, or ``test`` where it is that of the test part.

    Raises:
        FileNotFoundError: it is not.
        ValueError: it is none.
    """
    if not isinstance(given, str | os.PathLike):
        raise ValueError(f"The test part of a path must be a path, too, not {type(given).__name__}.")
    if not Path(given).exists():
        what = "the path of your data" if key == "data" else f"by '{key}' the path of the test part"
        raise FileNotFoundError(f"There is no file or folder '{writable(str(given))}': give {what}.")
    return Path(given)


def has_test_part(data: Given, test: Given | None) -> bool:
    """Whether the test part was given, as that of a task is, so that none is drawn."""
    folder = isinstance(data, str | os.PathLike) and _folders_of_parts(Path(data)) is not None
    return folder or test is not None or isinstance(data, Task | TaskCollection)


def _folders_of_parts(path: Path) -> tuple[Path, Path] | None:
    """The folders ``train`` and ``test``, in any case, of a folder that has no others; None elsewhere.

    Each has class folders, or sounds with a table.
    """
    if not path.is_dir():
        return None
    inner = _folders_in(path)
    folders = {entry.name.lower(): entry for entry in inner}
    if len(inner) != 2 or folders.keys() != {"train", "test"}:
        return None
    parts = folders["train"], folders["test"]
    return parts if all(map(_is_part, parts)) else None


def _is_part(path: Path) -> bool:
    """Whether a folder has class folders, or sounds with a table."""
    return bool(_folders_in(path) or (files_in(path, SOUND_SUFFIXES) and _sound_table(path)))


def _check_no_parts(path: Path) -> None:
    """Look for folders that are parts of the examples, and no classes: one to learn from is among them.

    Raises:
        ValueError: there are no others, and no table of sounds beside them.
    """
    inner = _folders_in(path)
    names = {entry.name.lower() for entry in inner}
    parts = len(inner) > 1 and names <= _PARTS and names & _TO_LEARN_FROM and all(map(_is_part, inner))
    if parts and _sound_table(path) is None:
        told = ", ".join(sorted(entry.name for entry in inner))
        raise ValueError(
            f"'{writable(str(path))}' has folders of parts, {told}: give the path of the one to learn from, and by "
            "'test' that of the one to test on; examples to choose by are drawn from the first."
        )


def _folders_in(path: Path) -> list[Path]:
    """The folders of a folder that are not hidden."""
    return [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


def _kind_of_path(path: Path, group: str | None) -> str:
    """The kind of a file or folder.

    Raises:
        ValueError: it cannot be told.
    """
    if path.is_dir():
        return _kind_of_folder(path, group)
    if path.suffix.lower() == ".json":
        return "questions"
    if path.suffix.lower() in SUFFIXES_OF_TABLES:
        return _kind_of_table(path, group)
    raise ValueError(
        f"'{writable(str(path))}' is no table (.csv, .tsv, .jsonl) and no file of questions (.json): give one, or a "
        "folder with a sub-folder of images, sounds or text files for each class."
    )


def _kind_of_folder(root: Path, group: str | None) -> str:
    if is_dataset(root):
        return "texts"
    inner = _folders_in(root)
    suffixes = {"images": SUFFIXES, "sounds": SOUND_SUFFIXES, "texts": {".txt"}}

    def files_of(deep: bool) -> dict[str, list[list[Path]]]:
        return {kind: [files_in(folder, of, deep) for folder in inner] for kind, of in suffixes.items()}

    files = files_of(deep=group is not None)
    found = [kind for kind, folders in files.items() if any(folders)]
    place = f"'{writable(str(root))}'"
    if len(found) > 1 and (main := _main_kind(files)) is not None:
        strays = [f"'{writable(str(file))}'" for kind in found if kind != main for own in files[kind] for file in own]
        warn_of_data(f"{place} holds {main}, and other files are left out: {first_few(strays)}.")
        return main
    if len(found) == 1:
        return found[0]
    if found:
        *others, last = [number_of(sum(map(len, files[kind])), kind.removesuffix("s")) for kind in found]
        told = f"{', '.join(others)} and {last}"
        raise ValueError(f"{place} holds {told}: say by 'kind' which are meant, such as kind='{found[0]}'.")
    if files_in(root, SOUND_SUFFIXES) and (table := _sound_table(root)) is not None:
        return "transcripts" if "transcript" in next(read_rows(table), ("", {}))[1] else "sounds"
    deeper = any(map(any, files_of(deep=True).values()))
    more = f"; if each has sub-folders of groups, say group='{FOLDER}'" if deeper else ""
    raise ValueError(
        f"{place} has no sub-folders with images, sounds or text files: give a folder with one for each class, sounds "
        f"as {SOUND_FORMATS}{more}."
    )


def _main_kind(files: Mapping[str, Sequence[Sequence[Path]]]) -> str | None:
    """The kind of most files, if it alone has two classes that can be divided: few others are strays. Else None.

    Args:
        files: of each kind, those of each class's folder.
    """
    divided = {kind: sum(len(own) >= FEWEST_OF_A_CLASS for own in folders) for kind, folders in files.items()}
    most = max(files, key=lambda kind: sum(map(len, files[kind])))
    return most if [kind for kind, classes in divided.items() if classes > 1] == [most] else None


def _sound_table(root: Path) -> Path | None:
    """The only table beside the sounds of a folder; None where there are several or none, or no folder."""
    tables = files_in(root, SOUND_TABLES) if root.is_dir() else []
    return tables[0] if len(tables) == 1 else None


def _kind_of_table(path: Path, group: str | None) -> str:
    """Rows of numbers or texts with labels, or pairs of texts.

    Where columns of texts may be either, labels are what stands several times.
    """
    rows, place = list(read_rows(path)), writable(str(path))
    label = target = numbered = None
    names, reason = columns_of(rows), ""
    if group is not None:
        check_columns(rows, place, group=group)
    try:
        numbered = label_of_rows(rows, place, group)
    except NamelessColumnsError:
        raise
    except ValueError as error:
        reason = str(error)
    if numbered is not None and _repeats(rows, numbered):
        return "rows"
    with suppress(ValueError):
        _, label = find_columns(rows, place, None, None, group=group)
    with suppress(ValueError):
        _, target = find_pair_columns(rows, place, None, None, group=group)
    usual = usual_column(names, LABEL_COLUMNS)
    labelled = usual is not None and usual_column(names, TEXT_COLUMNS) is None
    if labelled and reason and target is None and (label is None or all_numbers(rows)):
        beside = [(where, {name: value for name, value in row.items() if name != usual}) for where, row in rows]
        if all_numbers(beside):
            raise ValueError(reason)
        raise ValueError(f"{reason.rstrip('.')}; where texts are to be learned from, call their column 'text'.")
    if target is None and label in (None, numbered) and (numbered is not None or all_numbers(rows)):
        raise ValueError(_no_labels(place, numbered))
    if target is not None and label in (None, target) and target.lower() not in {*TARGET_TEXT_COLUMNS, *LABEL_COLUMNS}:
        values = [(where, {target: row.get(target)}) for where, row in rows]
        if all_numbers(values) and not _repeats(values, target):
            raise ValueError(_no_labels(place, target, ("texts", "classes"), ("pairs", "texts to be written")))
    if label is None and target is None:
        find_columns(rows, place, None, None, group=group)  # which says what it lacks
    if target is None or (
        label is not None and label.lower() not in TARGET_TEXT_COLUMNS and label.lower() in LABEL_COLUMNS
    ):
        return "texts"
    return "texts" if label is not None and _repeats(rows, target) else "pairs"


def _no_labels(place: str, column: str | None, *kinds: tuple[str, str]) -> str:
    """What a table lacks, whose labels are numbers in a column, or in none that is called so, and what else it may be.

    Args:
        place: of the table.
        column: of the numbers.
        kinds: each with what the numbers are if the table is of it; if none, it is of rows.
    """
    if column is None:
        return (
            f"'{place}' holds numbers alone: call the column of labels 'label', so that they can be told apart; they "
            "are classes, as numbers are not predicted."
        )
    others = ", or ".join(f"kind='{kind}' where these are {noun}" for kind, noun in kinds or [("rows", "classes")])
    return (
        f"The values of column '{printable(column, 40)}' of '{place}' hardly repeat, as those of classes do: give "
        f"labels that repeat (numbers are not predicted), or {others}."
    )


def _repeats(rows: Sequence[TableRow], column: str) -> bool:
    """Whether what a column holds stands several times, as labels do."""
    return FEWEST_OF_A_LABEL * len({str(row.get(column)) for _, row in rows}) <= len(rows)


def _images(path: Path, test: Path | None, group: str | None, least: int, shape: ImageShape | None = None) -> Task:
    test_root = None if test is None else str(test)
    task = FolderTask(str(path), shape, test_root=test_root, group=group, min_per_class=least)[0]
    return task if shape is not None or any(map(_has_colour, _parts(task))) else _mapped(task, lambda own: own[:, :1])


def _has_colour(part: Split) -> bool:
    return not torch.equal(part.inputs[:, :-1], part.inputs[:, 1:])


def _parts(task: Task) -> list[Split]:
    return [part for part in (task.train, task.val, task.test) if part is not None]


def _mapped(task: Task, change: Callable[[Tensor], Tensor]) -> Task:
    """A task with changed inputs."""
    train, *val, test = (Split(change(part.inputs), part.labels) for part in _parts(task))
    return replace(task, train=train, val=val[0] if val else None, test=test)


def _sounds(path: Path, test: Path | None, group: str | None, least: int, features: LogMel | None = None) -> Task:
    table, test_table = (None if part is None else _label_table(part, group is not None) for part in (path, test))
    return AudioFolderTask(
        str(path),
        table,
        features=features,
        skip_unreadable=True,
        test_root=None if test is None else str(test),
        test_table=test_table,
        group=group,
        min_per_class=least,
    )[0]


def _label_table(root: Path, deep: bool) -> str | None:
    """The table of the sounds of a folder; None where they lie in sub-folders."""
    table = _sound_table(root)
    if table is None or any(files_in(folder, SOUND_SUFFIXES, deep) for folder in root.iterdir() if folder.is_dir()):
        return None
    return str(table)


def _transcripts(path: Path, test: Path | None, group: str | None, features: LogMel | None = None) -> Task:
    if test is None:
        return TranscriptTask(str(path), _transcript_table(path), features=features, group=group)[0]
    own, tested = _transcript_table(path), _transcript_table(test)
    return TranscriptTask(str(path), own, features=features, test_root=str(test), test_table=tested, group=group)[0]


def _transcript_table(root: Path) -> str:
    """The only table beside the sounds of a folder.

    Raises:
        ValueError: there is not one.
    """
    table = _sound_table(root)
    if table is None:
        raise ValueError(
            f"'{writable(str(root))}' has not one table (.csv, .tsv) of files and transcripts: put one beside them."
        )
    return str(table)


def _texts(
    path: Path, test: Path | None, group: str | None, least: int, tokens: TextPreprocessing | None = None
) -> Task:
    if test is None:
        return TextTask(str(path), preprocessing=tokens, group=group, min_per_class=least)[0]
    learned, tested = (_labelled(part, group) for part in (path, test))
    groups = None if group is None else [one.group for one in learned]
    if groups is not None:
        tell_shared_groups(f"'{writable(str(test))}'", groups, [one.group for one in tested])
    columns = ([one.text for one in learned], [one.label for one in learned])
    held_out = ([one.text for one in tested], [one.label for one in tested])
    return task_from_texts(
        *columns, *held_out, preprocessing=tokens, group=groups, min_per_class=least, id=path.resolve().stem
    )


def _labelled(path: Path, group: str | None) -> list[Labelled]:
    """The texts of a table, in its order, or of a folder with a sub-folder of text files for each class."""
    rows, place = labelled_texts(path, group=group), writable(str(path))
    if path.is_dir():
        found = grouped_by_label(rows, place)
        return [Labelled("", text, label, own) for label, texts in found.items() for text, own in texts.items()]
    return [
        one._replace(
            text=checked_text(one.text, "text", one.where, place),
            label=checked_text(one.label, "label", one.where, place),
        )
        for one in rows
    ]


def _rows(path: Path, test: Path | None, group: str | None, least: int, columns: NumericColumns | None = None) -> Task:
    tested = None if test is None else str(test)
    return TableTask(str(path), test_path=tested, group=group, preprocessing=columns, min_per_class=least)[0]


def _pairs(
    path: Path, test: Path | None, group: str | None, made: tuple[TextPreprocessing, TextPreprocessing] | None = None
) -> Task:
    """Pairs of texts; the steps of a network are as many as the longest of them need, and some for longer ones."""
    if made is None:
        parts = [part for part in (path, test) if part is not None]
        pairs = [pair for part in parts for _, pair in read_pairs(part, None, None, None, group)]
        sources, targets = zip(*pairs, strict=True)
        made = characters_for(map(str, sources)), characters_for(map(str, targets))
    source, target = made
    return ParallelTask(
        str(path),
        preprocessing=source,
        target_preprocessing=target,
        test_path=None if test is None else str(test),
        group=group,
    )[0]


def _questions(path: Path, test: Path | None, group: str | None) -> Task:
    if group is not None:
        raise ValueError("Questions are divided by their passages: leave 'group' out.")
    return SquadTask(str(path), None if test is None else str(test))[0]


_READERS: Mapping[str, Callable[..., Task]] = {
    "images": _images,
    "sounds": _sounds,
    "transcripts": _transcripts,
    "texts": _texts,
    "rows": _rows,
    "pairs": _pairs,
    "questions": _questions,
}
