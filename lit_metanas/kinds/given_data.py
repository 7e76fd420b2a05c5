"""What a user gives: its kind, the task that is made of it, and other preprocessings of the same examples."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch.utils.data import Dataset

from lit_metanas.io.class_folders import FOLDER, files_in, folders_in
from lit_metanas.io.files import open_regular
from lit_metanas.io.text import first_few, number_of, printable, writable
from lit_metanas.kinds.images.array_tasks import task_from_arrays
from lit_metanas.kinds.images.dataset_tasks import task_from_dataset
from lit_metanas.kinds.images.image_files import SUFFIXES
from lit_metanas.kinds.kind import Kind, MadeBefore, Source, kind_named, kind_of, known_kinds, within_memory
from lit_metanas.kinds.sounds.sound_files import SOUND_FORMATS, SOUND_SUFFIXES
from lit_metanas.kinds.sounds.sound_kinds import sound_table
from lit_metanas.kinds.texts.text_task import task_from_texts
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.stored_objectives import objective_named
from lit_metanas.tasks.labels import Groups
from lit_metanas.tasks.splits import FEWEST_OF_A_CLASS
from lit_metanas.tasks.task import Task, TaskCollection, warn_of_data

Given = str | os.PathLike[str] | Task | TaskCollection | Dataset[Any] | Sequence[Any]
"""A path, a task, a data set of torch, or a pair of examples and labels."""

ExampleKind: TypeAlias = Literal["rows", "images", "texts"]
"""The kind of labelled examples in memory."""

_TO_LEARN_FROM = frozenset({"train", "training"})
_PARTS = _TO_LEARN_FROM | {"val", "valid", "validation", "dev", "test", "testing", "eval"}
"""Names of folders that hold a part of the examples each, in small letters."""


def read_given(
    data: Given,
    *,
    kind: str | None = None,
    test: Given | None = None,
    group: str | Groups | None = None,
    min_per_class: int | None = None,
    objective: str | None = None,
    prepared: Any = None,
    start: MadeBefore | None = None,
) -> Task:
    """The task of what was given, split as the task's class splits it.

    Args:
        data: a path, a task, a data set of torch, or a pair of examples and labels.
        kind: what the examples are; None finds out.
        test: the test part, given as ``data`` is; None takes some of ``data``.
        group: which examples belong together, and so into one part; see ``auto``.
        min_per_class: see ``auto``.
        objective: what a network is wanted for, by the path of its class; None is that of the kind of data.
        prepared: what makes inputs of the examples, or the shape of images of a path; None is the usual one.
        start: what made the inputs of meta-trained weights. A task and other data are left as they are.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the kind of the data is not clear, or they are malformed; or 'group' does not suit them.
    """
    if objective is not None:
        wanted = objective_named(objective)
        task = read_given(
            data, kind=kind, test=test, group=group, min_per_class=min_per_class, prepared=prepared, start=start
        )
        if not isinstance(task.goal, Classification):
            raise ValueError(f"Task '{task.id}' has {task.goal.noun} and no labels: leave 'objective' out.")
        return replace(task, objective=wanted.for_classes(task.way))
    named = None if kind is None else kind_named(kind)
    if isinstance(data, Task | TaskCollection):
        return _task_itself(data, test=test, group=group, min_per_class=min_per_class)
    least = FEWEST_OF_A_CLASS - has_test_part(data, test) if min_per_class is None else min_per_class
    if isinstance(data, str | os.PathLike):
        source, found = _source(data, test, group, least)
        own = named or kind_of_path(source.path, source.group)
        if not own.labelled and min_per_class is not None:
            raise ValueError(f"Data of the kind '{own.name}' have no classes: leave 'min_per_class' out.")
        made = prepared if start is None else own.as_before(start, str(data))
        task = own.read(replace(source, prepared=made))
        return replace(task, id=Path(data).resolve().name) if found else task
    if named is not None and not named.labelled:
        raise ValueError(
            f"Examples in memory have labels, so these are no '{named.name}': give a path, or use AutoTranscriber, "
            "AutoTranslator or AutoAnswerer."
        )
    if isinstance(data, Dataset):
        task = _of_dataset(data, test, group, least, prepared)
    else:
        task = _of_arrays(data, test, group, least, prepared, start)
    own = kind_of(task)
    if start is None or not own.converts:
        return task
    before = own.as_before(start, task.id)
    return task if before in (None, task.shape) else own.convert(task, before)


def _source(data: str | os.PathLike[str], test: Given | None, group: Any, least: int) -> tuple[Source, bool]:
    """What the examples of a path are read by, and whether it has folders ``train`` and ``test``.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: groups are no text, or the folder has other parts.
    """
    path, test_path = existing_path(data), None if test is None else existing_path(test, "test")
    parts = _folders_of_parts(path) if test_path is None else None
    if parts is None and path.is_dir():
        _check_no_parts(path)
    path, test_path = parts or (path, test_path)
    if group is not None and not isinstance(group, str):
        raise ValueError("'group' must be the name of a column, 'folder' or a regular expression, of a path's files.")
    return Source(path, test_path, group, least), parts is not None


def other_ways(
    data: Given,
    task: Task,
    *,
    kind: str | None,
    test: Given | None,
    group: str | Groups | None,
    min_per_class: int | None = None,
    objective: str | None = None,
) -> dict[str, Callable[[], Task]]:
    """What makes the same task under each preprocessing to choose from, by its label, the usual one first.

    The arguments are those of ``read_given``, and the task that it gave. A task that was given as such has no other.
    """
    if isinstance(data, Task | TaskCollection):
        return {}
    own = kind_of(task, kind)
    path = isinstance(data, str | os.PathLike)
    source = _source(data, test, group, 1)[0] if path else None  # type: ignore[arg-type]
    offered = within_memory(task, own.preprocessings(task, source))
    if len(offered) < 2:
        return {}
    again = partial(
        read_given, data, kind=kind, test=test, group=group, min_per_class=min_per_class, objective=objective
    )

    if source is None and own.converts:
        return {label: partial(own.convert, task, one) for label, one in offered.items()}
    return {label: partial(again, prepared=one) for label, one in offered.items()}


def describe_given(task: Task, kind: Kind, *, grouped: bool = False) -> str:
    """What a task was taken for, in a line, and whether no group is in two parts."""
    parts = {"to learn from": task.train, "to choose by": task.val, "to test": task.test}
    sizes = {what: len(part) for what, part in parts.items() if part is not None}
    classes = f" of {number_of(task.way, 'class')}" if isinstance(task.goal, Classification) else ""
    shares = ", ".join(f"{size:,} {what}" for what, size in sizes.items())
    whole = ", in whole groups" if grouped else ""
    examples = f"{sum(sizes.values()):,} {kind.noun}{classes}{kind.describe(task)}"
    return f"'{printable(task.id, 40)}': {examples}: {shares}{whole}."


def describe_columns(data: Given, kind: Kind, group: str | Groups | None) -> str:
    """Which columns of a table the labels and texts were found in; empty for anything else."""
    if not isinstance(data, str | os.PathLike):
        return ""
    return kind.describe_columns(Source(Path(data), group=group if isinstance(group, str) else None))


def raw_digest(data: Given, kind: Kind, test: Given | None, group: str | Groups | None) -> str | None:
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
        elif isinstance(given, tuple | list) and kind_of_examples(given[0]) == "texts":
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


def _files_read(path: Path, kind: Kind, *, deep: bool) -> Iterator[tuple[str, Path]]:
    """The files that examples of a kind are read of, each with its name in the folder; of a file that itself."""
    if not path.is_dir():
        yield "", path
        return
    read = kind.read_files
    for part in _folders_of_parts(path) or (path,):
        if sound_table(part) is not None:  # it may name files in any folder
            files = files_in(part, read, deep=True)
        else:  # what lies beside the folders of classes is not read
            inner = [file for folder in folders_in(part) for file in files_in(folder, read, deep)]
            files = inner or files_in(part, read)
        yield from ((file.relative_to(path).as_posix(), file) for file in sorted(files))


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
    data: Sequence[Any], test: Given | None, group: Groups | None, least: int, prepared: Any, start: MadeBefore | None
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
        prepared = prepared if start is None else kind_named("texts").as_before(start, "data")
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
    inner = folders_in(path)
    folders = {entry.name.lower(): entry for entry in inner}
    if len(inner) != 2 or folders.keys() != {"train", "test"}:
        return None
    parts = folders["train"], folders["test"]
    return parts if all(map(_is_part, parts)) else None


def _is_part(path: Path) -> bool:
    """Whether a folder has class folders, or sounds with a table."""
    return bool(folders_in(path) or (files_in(path, SOUND_SUFFIXES) and sound_table(path)))


def _check_no_parts(path: Path) -> None:
    """Look for folders that are parts of the examples, and no classes: one to learn from is among them.

    Raises:
        ValueError: there are no others, and no table of sounds in the same folder.
    """
    inner = folders_in(path)
    names = {entry.name.lower() for entry in inner}
    parts = len(inner) > 1 and names <= _PARTS and names & _TO_LEARN_FROM and all(map(_is_part, inner))
    if parts and sound_table(path) is None:
        named = ", ".join(sorted(entry.name for entry in inner))
        raise ValueError(
            f"'{writable(str(path))}' has folders of parts, {named}: give the path of the one to learn from, and by "
            "'test' that of the one to test on; examples to choose by are drawn from the first."
        )


def kind_of_path(path: Path, group: str | None) -> Kind:
    """The kind of a file or folder.

    Raises:
        ValueError: it is not clear.
    """
    kinds, place = known_kinds(), f"'{writable(str(path))}'"
    inner = _kind_of_class_folders(path, group, [kind for kind in kinds if kind.class_files]) if path.is_dir() else None
    claims, reason = _claims(kinds, path, group) if inner is None else ([inner], None)
    if len(claims) == 1:
        return claims[0]
    if reason is not None and not claims:
        raise reason
    if claims:
        names = " and ".join(kind.name for kind in claims)
        raise ValueError(f"{place} may hold {names}: say by 'kind' which are meant.")
    if not path.is_dir():
        raise ValueError(
            f"{place} is no table (.csv, .tsv, .jsonl) and no file of questions (.json): give one, or a folder with a "
            "sub-folder of images, sounds or text files for each class."
        )
    deep = any(files_in(folder, kind.class_files, True) for folder in folders_in(path) for kind in kinds)
    more = f"; if each has sub-folders of groups, say group='{FOLDER}'" if deep else ""
    raise ValueError(
        f"{place} has no sub-folders with images, sounds or text files: give a folder with one for each class, sounds "
        f"as {SOUND_FORMATS}{more}."
    )


def _claims(kinds: Sequence[Kind], path: Path, group: str | None) -> tuple[list[Kind], ValueError | None]:
    """The kinds that claim a path, and why another one, which nearly does, cannot read it."""
    claims, reason = list[Kind](), None
    for kind in kinds:
        try:
            if kind.claims(path, group):
                claims.append(kind)
        except ValueError as error:
            reason = reason or error
    return claims, reason


def _kind_of_class_folders(root: Path, group: str | None, kinds: Sequence[Kind]) -> Kind | None:
    """The kind of a folder with a folder for each class; None where there are no such files.

    Raises:
        ValueError: there are files of several kinds, and no kind has most.
    """
    files = {
        kind.name: [files_in(folder, kind.class_files, group is not None) for folder in folders_in(root)]
        for kind in kinds
    }
    found, place = [kind for kind in kinds if any(files[kind.name])], f"'{writable(str(root))}'"
    if len(found) < 2:
        return found[0] if found else None
    main = _main_kind(files)
    if main is None:
        *others, last = [number_of(sum(map(len, files[kind.name])), kind.name.removesuffix("s")) for kind in found]
        both = f"{', '.join(others)} and {last}"
        raise ValueError(f"{place} holds {both}: say by 'kind' which are meant, such as kind='{found[0].name}'.")
    strays = [f"'{writable(str(file))}'" for name, own in files.items() if name != main for file in chain(*own)]
    warn_of_data(f"{place} holds {main}, and other files are left out: {first_few(strays)}.")
    return kind_named(main)


def _main_kind(files: Mapping[str, Sequence[Sequence[Path]]]) -> str | None:
    """The kind of most files, if it alone has two classes that can be divided: few others are strays. Else None.

    Args:
        files: of each kind, those of each class's folder.
    """
    divided = {kind: sum(len(own) >= FEWEST_OF_A_CLASS for own in folders) for kind, folders in files.items()}
    most = max(files, key=lambda kind: sum(map(len, files[kind])))
    return most if [kind for kind, classes in divided.items() if classes > 1] == [most] else None


def kind_of_examples(X: Any) -> ExampleKind:
    """The kind of labelled examples in memory: texts if one of them is a text, images, or else rows of a table.

    Whoever takes them looks at them more closely, and refuses a mixture.

    Example:
        >>> kind_of_examples(["a", 3]), kind_of_examples([[1.0, 2.0]]), kind_of_examples([[[0.5]]])
        ('texts', 'rows', 'images')
    """
    size = getattr(X, "ndim", None)
    if size in (None, 1) and isinstance(X, Iterable) and any(isinstance(each, str) for each in X):
        return "texts"
    return "images" if (_depth(X) if size is None else size) in (3, 4) else "rows"


def check_no_files(texts: Iterable[Any]) -> None:
    """Refuse names of files that hold the examples.

    Raises:
        ValueError: the first texts are such names.
    """
    first = list(islice((text for text in texts if isinstance(text, str)), 3))
    for fix, suffixes in (("give the images themselves, or `auto`", SUFFIXES), ("give `auto`", SOUND_SUFFIXES)):
        if first and all(_is_file(text, suffixes) for text in first):
            raise ValueError(
                f"The texts are names of files, such as '{printable(first[0], 60)}': {fix} a folder with a sub-folder "
                "of files for each class."
            )


def _is_file(text: str, suffixes: Collection[str]) -> bool:
    """Whether a text is the path of a file whose name ends so."""
    try:
        return Path(text).suffix.lower() in suffixes and Path(text).is_file()
    except (OSError, ValueError):  # of a long text
        return False


def _depth(value: Any) -> int:
    """Dimensions of an array, or of lists within each other, by the first of each."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return 1 + _depth(value[0])
    return int(getattr(value, "ndim", 0))
