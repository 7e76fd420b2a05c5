"""The kind of data that a path holds, the folders of its parts, and a digest of its files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from lit_metanas.io.class_folders import FOLDER, excluding, files_in, folders_in
from lit_metanas.io.files import open_regular
from lit_metanas.io.text import first_few, number_of, printable, writable
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.given_pairs import Given, is_pair, kind_of_examples
from lit_metanas.kinds.kind import Kind, kind_named, known_kinds
from lit_metanas.kinds.pairs.pair_kind import kind_of_table
from lit_metanas.kinds.texts.table_files import FOREIGN_TABLES, read_rows, tables_in
from lit_metanas.tasks.labels import Groups
from lit_metanas.tasks.splits import FEWEST_OF_A_CLASS
from lit_metanas.tasks.task import warn_of_data

_TO_LEARN_FROM = ("train", "training")
# Names of folders and tables that hold a part of the examples each; the first one with labels is tested.
_TO_TEST = ("test", "testing", "eval", "val", "valid", "validation", "dev")


_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")


class GivenParts(NamedTuple):
    """The parts of the examples that a path has; of one without parts, the path itself is to learn from."""

    train: Path
    test: Path | None = None  # if one has labels
    left_out: str = ""  # why others are not read, as a sentence


def parts_in(path: Path) -> GivenParts:
    """The folders or tables in a folder that are called ``train`` and ``test``, or so."""
    whole = GivenParts(path)
    if not path.is_dir() or any(kind.lists(path) and files_in(path, kind.class_files) for kind in known_kinds()):
        return whole
    folders = folders_in(path)
    if len(folders) > 1 and not all(_called(folder) in (*_TO_LEARN_FROM, *_TO_TEST) for folder in folders):
        return whole
    if (tables := _among(tables_in(path), _lacking_columns)) is not None:
        return tables
    learned = [folder for folder in folders if _called(folder) in _TO_TEST or not _lacking_labels(folder, folder)]
    return _among(learned, _lacking_labels) or whole


def _called(part: Path) -> str:
    return part.name.lower().partition(".")[0]


def _among(entries: Sequence[Path], lacking: Callable[[Path, Path], str]) -> GivenParts | None:
    """The parts among folders, or among tables; ``lacking`` says of what examples to learn from have."""
    learned = [entry for entry in entries if _called(entry) in _TO_LEARN_FROM]
    if len(learned) != 1:
        return None
    (train,), test, left_out = learned, None, list[str]()
    others = [entry for entry in entries if _called(entry) in _TO_TEST]
    for entry in sorted(others, key=lambda entry: _TO_TEST.index(_called(entry))):
        lacks = lacking(entry, train)
        if test is None and not lacks:
            test = entry
        elif lacks:
            left_out.append(f"'{writable(entry.name)}' has no {lacks}")
        else:
            left_out.append(f"examples to choose by are drawn from '{writable(train.name)}', not '{entry.name}'")
    return GivenParts(train, test, "; ".join(left_out))


def _lacking_columns(table: Path, train: Path) -> str:
    """The first column of a table to learn from that another one lacks, with quotes; empty where it has all."""
    columns, wanted = (next(read_rows(each), ("", {}))[1] for each in (table, train))
    return next((f"column '{printable(name, 40)}'" for name in wanted if name not in columns), "")


def _lacking_labels(folder: Path, train: Path) -> str:
    """Says that a folder has neither class folders nor files with a table of their classes; empty where it has."""
    if folders_in(folder) or any(kind.lists(folder) and files_in(folder, kind.class_files) for kind in known_kinds()):
        return ""
    return "labels"


def kind_of_path(path: Path, group: str | None, label: str | None = None) -> Kind:
    """The kind of a file or folder, of a table by its column of labels; a ValueError tells why it is not clear."""
    if label is not None and (named := kind_of_table(path, group, label)) is not None:
        return kind_named(named)
    kinds, place = known_kinds(), f"'{writable(str(path))}'"
    if (inner := _kind_of_class_folders(path, group, [kind for kind in kinds if kind.class_files])) is not None:
        return inner
    claims, reasons = list[Kind](), list[ValueError]()
    for kind in kinds:
        try:
            if kind.claims(path, group):
                claims.append(kind)
        except ValueError as error:  # of one that nearly claims it, and says what is wrong
            reasons.append(error)
    if len(claims) == 1:
        return claims[0]
    if claims:
        raise ValueError(f"{place} may hold {' and '.join(one.name for one in claims)}: say by 'kind' which are meant.")
    if reasons:
        raise reasons[0]
    if path.suffix.lower() in FOREIGN_TABLES:
        raise ValueError(f"{place} is a table of another program: save it as CSV, or in Python give a data frame.")
    if path.suffix.lower() in _ARCHIVES:
        raise ValueError(f"{place} is an archive: unpack it, and give the folder.")
    if not path.is_dir():
        raise ValueError(
            f"{place} is no table (.csv, .tsv, .jsonl, .json) and no file of questions (.json): give one, or a folder "
            "with a sub-folder of images, sounds or text files for each class."
        )
    known = ", ".join(f"{kind.name} ({' '.join(sorted(kind.class_files))})" for kind in kinds if kind.class_files)
    fix = "give a folder with one for each class"
    if any(files_in(folder, kind.class_files, True) for folder in folders_in(path) for kind in kinds):
        fix += f"; if each has sub-folders of groups, say group='{FOLDER}'"
    raise ValueError(f"{place} has no sub-folders with {known}: {fix}.")


def _kind_of_class_folders(root: Path, group: str | None, kinds: Sequence[Kind]) -> Kind | None:
    """The kind of a folder with a folder for each class, most of all; None where there are no such files."""
    folders = folders_in(root) if root.is_dir() else []
    files = {kind.name: [files_in(folder, kind.class_files, group is not None) for folder in folders] for kind in kinds}
    found, place = [kind for kind in kinds if any(files[kind.name])], f"'{writable(str(root))}'"
    if len(found) < 2:
        return next(iter(found), None)
    # The kind of most files is meant if it alone has two classes that can be divided: the few others are strays.
    main = max(files, key=lambda name: sum(map(len, files[name])))
    divided = {name: sum(len(own) >= FEWEST_OF_A_CLASS for own in inner) for name, inner in files.items()}
    if [name for name, classes in divided.items() if classes > 1] != [main]:
        *others, last = [number_of(sum(map(len, files[kind.name])), kind.name.removesuffix("s")) for kind in found]
        raise ValueError(
            f"{place} holds {', '.join(others)} and {last}: say by 'kind' which are meant, such as "
            f"kind='{found[0].name}'."
        )
    strays = [f"'{writable(str(file))}'" for name, own in files.items() if name != main for file in chain(*own)]
    warn_of_data(f"{place} holds {main}, and other files are left out: {first_few(strays)}.")
    return kind_named(main)


def raw_digest(
    data: Given,
    kind: Kind,
    test: Given | None,
    group: str | Groups | None,
    exclude: Sequence[str] | None = None,
    reading: FileReading | None = None,
) -> str | None:
    """A digest of files or texts as they were read, of which a preprocessing may hide something, such as capitals."""
    digest, sampled = hashlib.sha256(), set[Path]()
    if reading is not None:
        sampled = reading.sampled  # empty if all files were read
    for given in (data, test):
        if given is None:
            continue
        if isinstance(given, str | os.PathLike):
            with excluding(exclude or ()):
                files = list(_files_read(Path(given), kind, deep=group is not None))
            for name, file in files:
                if sampled and file not in sampled and file.suffix.lower() in kind.class_files:
                    continue
                digest.update(json.dumps([name, _content(file)]).encode())
        elif is_pair(given) and kind_of_examples(given[0]) == "texts":
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
    train, test, _ = parts_in(path)
    for part in (train, test):
        if part is not None:
            files = kind.files_of(part, deep) if part.is_dir() else [part]
            yield from ((file.relative_to(path).as_posix(), file) for file in sorted(files))
