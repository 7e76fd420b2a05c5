"""Folders with one sub-folder of files per class."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from types import MappingProxyType

from lit_metanas.io.text import first_few, is_text, number_of, one_of, printable, writable

FOLDER = "folder"  # groups a class's files by their sub-folders


EXCLUDED: ContextVar[Mapping[str, list[str]]] = ContextVar("EXCLUDED", default=MappingProxyType({}))
"""Patterns of what is not read at present, each with what it has named so far."""


@contextmanager
def excluding(patterns: Sequence[str]) -> Iterator[Mapping[str, list[str]]]:
    """Columns of tables, and files of folders, that a pattern names are as if they were not there within."""
    found: dict[str, list[str]] = {pattern: [] for pattern in patterns}
    before = EXCLUDED.set({**EXCLUDED.get(), **found})
    try:
        yield found
    finally:
        EXCLUDED.reset(before)


def is_excluded(name: str) -> bool:
    """Whether a column of a table, or a file by the last parts of its path, is left out at present."""
    for pattern, names in EXCLUDED.get().items():
        if name == pattern or fnmatchcase(name, pattern) or (pattern and PurePath(name).match(pattern)):
            names.append(name)
            return True
    return False


def class_folders(root: Path, suffixes: Collection[str], noun: str, deep: bool = False) -> dict[str, list[Path]]:
    """The files of each class, by the names of a folder's sub-folders; warns of files that are left out."""
    place = f"'{writable(str(root))}'"
    if root.exists() and not root.is_dir():
        raise ValueError(f"{place} is a single file: give the folder that has one sub-folder of {noun} per class.")
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {place}: give a folder with one sub-folder of {noun} per class.")
    folders = sorted(folders_in(root))
    if len(folders) < 2:
        raise ValueError(
            f"{place} has {number_of(len(folders), 'class folder')}: give a sub-folder of {noun} for each of two or "
            "more classes."
        )
    for name in (root.resolve().name, *(folder.name for folder in folders)):
        if not is_text(name):
            raise ValueError(f"The name of the folder '{writable(name)}' in {place} is not UTF-8: rename it.")
    classes = {folder.name: files_in(folder, suffixes, deep) for folder in folders}
    below = {name: len(_deeper(root / name, suffixes)) for name in classes if not deep}
    empty = sorted((name for name, files in classes.items() if not files), key=lambda name: not below.get(name))
    if empty and (below.get(empty[0]) or len(empty) > len(classes) - 2):
        fix = "add some or remove it"
        if below.get(empty[0]):
            fix += f"; or set group='{FOLDER}' if each of its sub-folders holds the {noun} of one group"
        raise ValueError(f"'{writable(str(root / empty[0]))}' has no {noun} ({', '.join(sorted(suffixes))}): {fix}.")
    if empty:
        named = first_few([f"'{writable(name)}'" for name in empty])
        folder = "sub-folders" if empty[1:] else "a sub-folder"
        _warn(f"{place} has {folder} without {noun}, left out: {named}.")
    if deeper := sum(below.values()):
        _warn(
            f"{place} has {noun} in sub-folders of its classes' folders, which are left out "
            f"({deeper}): move them to the other {noun} of their class; or put all into folders of groups, and set "
            f"group='{FOLDER}'."
        )
    return {name: files for name, files in classes.items() if files}


def _warn(message: str) -> None:
    from lightning.pytorch.utilities import rank_zero_warn  # a second, which others do without

    rank_zero_warn(message)  # from this line for every caller, so that Python shows it once


def folders_in(path: Path) -> list[Path]:
    """The folders in a folder that are not hidden."""
    return [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


def files_in(folder: Path, suffixes: Collection[str], deep: bool = False) -> list[Path]:
    """The files of a folder with these suffixes, in order, without hidden ones; ``deep`` adds inner folders."""

    def refuse(error: OSError) -> None:
        raise error

    found = [folder / name for name in sorted(os.listdir(folder)) if _is_named(name, suffixes)]
    if deep:
        found += _deeper(folder, suffixes, refuse)
    if EXCLUDED.get():
        return [file for file in found if not is_excluded(str(file))]
    return found


def file_within(root: Path, name: str, where: str, suffixes: Collection[str], noun: str) -> Path:
    """A file of a folder that a table names ``where``, such as ``Line 3 of 'a.csv'``."""
    shown = printable(name, 200)
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{where} names '{shown}': give files by their path within '{root}'.")
    file = root / name
    if file.suffix.lower() not in suffixes:
        raise ValueError(f"{where} names '{shown}', which is not {one_of(noun)} ({', '.join(sorted(suffixes))}).")
    if not file.exists():
        raise ValueError(f"{where} names '{shown}', which '{root}' lacks: add it, or leave the line out.")
    return file


def _is_named(name: str, suffixes: Collection[str]) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes


def _deeper(folder: Path, suffixes: Collection[str], refuse: Callable[[OSError], None] | None = None) -> list[Path]:
    """The files in all folders within a folder, in order; ``refuse`` gets the error of an unreadable one."""
    with os.scandir(folder) as entries:  # which knows without a look at each file what a folder is
        others = [entry for entry in entries if not _is_named(entry.name, suffixes)]
    # A link that leads back to itself is no folder to `isdir`, and an error to `is_dir`.
    inner = [
        one.name for one in others if one.is_dir(follow_symlinks=False) or (one.is_symlink() and os.path.isdir(one))
    ]
    found = []
    for name in sorted(each for each in inner if not each.startswith(".")):
        for place, folders, files in os.walk(folder / name, onerror=refuse):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            found += [Path(place) / each for each in sorted(files) if _is_named(each, suffixes)]
    return found


def file_groups(root: Path, classes: Mapping[str, Sequence[Path]], group: str | None) -> dict[Path, str]:
    """The group of each file: its sub-folder within its class, or the bracket of a regular expression; or none."""
    if group is None:
        return {}
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ValueError(f"group = '{printable(group, 80)}' is no regular expression ({error}): fix it.") from None
    if group != FOLDER and pattern.groups != 1:
        raise ValueError(
            f"group = '{printable(group, 80)}' must be '{FOLDER}', or a regular expression with one bracket that finds "
            "the group in a file's name, such as '(speaker[0-9]+)_'."
        )
    found: dict[Path, str] = {}
    for name, files in classes.items():
        for file in files:
            if not (own := _group_of(file.relative_to(root / name), pattern)):
                fix = "rename it"
                if group == FOLDER:
                    fix = f"put it into a sub-folder of '{printable(name, 80)}'"
                raise ValueError(
                    f"'{writable(str(file))}' is of no group by group = '{printable(group, 80)}': {fix}, or leave it "
                    "out."
                )
            found[file] = own
    return found


def _group_of(path: Path, pattern: re.Pattern[str]) -> str:
    """The group of a file by its path within its class's folder; empty if it has none."""
    if pattern.pattern == FOLDER:
        return path.parts[0] if len(path.parts) > 1 else ""
    found = pattern.search(path.as_posix())
    return "" if found is None else found[1] or ""
