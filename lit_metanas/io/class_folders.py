"""Folders with a sub-folder of files for each class."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.io.text import first_few, is_text, number_of, printable, writable

FOLDER = "folder"
"""The groups of files that are those of their sub-folders."""


def class_folders(root: Path, suffixes: Collection[str], noun: str, deep: bool = False) -> dict[str, list[Path]]:
    """The files of each class: the sub-folders of a folder, by name.

    Warnings tell of sub-folders without such files, and of files in deeper folders, which are left out.

    Args:
        root: the folder.
        suffixes: how the names of the files end, in small letters.
        noun: what the files are, in the plural, for messages.
        deep: whether files in all folders within a class's folder are of the class, too.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is a file; the folder has fewer than two sub-folders with such files, or with them in folders of
            theirs alone; or one of them has a name that cannot be written in UTF-8.
    """
    place = f"'{writable(str(root))}'"
    if root.exists() and not root.is_dir():
        raise ValueError(f"{place} is a single file: give the folder that has one sub-folder of {noun} per class.")
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {place}: give a folder with one sub-folder of {noun} per class.")
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        raise ValueError(
            f"{place} has {number_of(len(folders), 'class folder')}: give a sub-folder of {noun} for each of two or "
            "more classes."
        )
    for name in (root.resolve().name, *(folder.name for folder in folders)):
        if not is_text(name):
            raise ValueError(f"The name of the folder '{writable(name)}' in {place} is not UTF-8: rename it.")
    classes = {folder.name: files_in(folder, suffixes, deep) for folder in folders}
    below = {} if deep else {name: len(_deeper(root / name, suffixes)) for name in classes}
    empty = sorted((name for name, files in classes.items() if not files), key=lambda name: not below.get(name))
    if empty and (below.get(empty[0]) or len(empty) > len(classes) - 2):
        fix = "add some or remove it"
        if below.get(empty[0]):
            fix += f"; or say by group='{FOLDER}' that its sub-folders hold the {noun} of a group each"
        raise ValueError(f"'{writable(str(root / empty[0]))}' has no {noun} ({', '.join(sorted(suffixes))}): {fix}.")
    if empty:
        without = "sub-folders" if empty[1:] else "a sub-folder"
        named = first_few([f"'{writable(name)}'" for name in empty])
        _warn(f"{place} has {without} without {noun}, left out: {named}.")
    if deeper := sum(below.values()):
        _warn(
            f"{place} has {noun} in sub-folders of its classes' folders, which are left out "
            f"({deeper}): put them beside the others of their class; or put all into folders of groups, and say "
            f"group='{FOLDER}'."
        )
    return {name: files for name, files in classes.items() if files}


def _warn(message: str) -> None:
    from lightning.pytorch.utilities import rank_zero_warn  # a second, which others do without

    rank_zero_warn(message)  # from here, whoever asked, so that it is told once


def folders_in(path: Path) -> list[Path]:
    """The folders of a folder that are not hidden."""
    return [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


def files_in(folder: Path, suffixes: Collection[str], deep: bool = False) -> list[Path]:
    """The files of a folder whose names end so, in order; hidden ones are left out.

    Args:
        folder: the folder.
        suffixes: how the names end, in small letters.
        deep: whether those in all folders within it are taken, too; links to folders are followed in itself alone.

    Raises:
        OSError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    found = [folder / name for name in sorted(os.listdir(folder)) if _is_named(name, suffixes)]
    return found + (_deeper(folder, suffixes, refuse) if deep else [])


def _is_named(name: str, suffixes: Collection[str]) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes


def _deeper(folder: Path, suffixes: Collection[str], refuse: Callable[[OSError], None] | None = None) -> list[Path]:
    """The files in all folders within a folder, in order.

    Args:
        folder: the folder.
        suffixes: how the names end, in small letters.
        refuse: is told of a folder that cannot be read; None leaves it out.
    """
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


def file_groups(root: Path, classes: Mapping[str, Sequence[Path]], group: str) -> dict[Path, str]:
    """The group of each file in class folders.

    Args:
        root: the folder of these.
        classes: the files by class, as ``class_folders`` finds them.
        group: ``folder`` takes the name of the sub-folder of its class's folder that a file lies in; anything else is a
            regular expression with one bracket, which is searched for in the file's path within its class's folder.

    Raises:
        ValueError: it is neither, or a file has no group.
    """
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
            parts = file.relative_to(root / name)
            if group == FOLDER:
                own = parts.parts[0] if len(parts.parts) > 1 else ""
            else:
                match = pattern.search(parts.as_posix())
                own = (match[1] or "") if match else ""
            if not own:
                fix = f"put it into a sub-folder of '{printable(name, 80)}'" if group == FOLDER else "rename it"
                raise ValueError(
                    f"'{writable(str(file))}' is of no group by group = '{printable(group, 80)}': {fix}, or leave it "
                    "out."
                )
            found[file] = own
    return found


def read_classes(
    classes: Mapping[str, Sequence[Path]], read: Callable[[Path], Tensor], *, skip_unreadable: bool
) -> tuple[dict[str, Tensor], list[Path]]:
    """Read the files of each class.

    Args:
        classes: the files by class.
        read: one file to a tensor; all have one shape.
        skip_unreadable: whether files that ``read`` refuses are left out.

    Returns:
        For each class a tensor of shape ``(n, ...)``, and the files that were left out.

    Raises:
        ValueError: a file is refused and not to be left out, or all are.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in classes}
    unreadable: list[Path] = []
    for name, files in classes.items():
        for file in files:
            try:
                found[name].append(read(file))
            except ValueError:
                unreadable.append(file)
                if not skip_unreadable or len(unreadable) == sum(map(len, classes.values())):
                    raise
    none = next(part for parts in found.values() for part in parts)[None][:0]
    return {name: torch.stack(parts) if parts else none for name, parts in found.items()}, unreadable


def left_out(files: Sequence[Path], of: int, noun: str) -> str:
    """The sentence about files that are left out.

    Args:
        files: these.
        of: how many there are in all.
        noun: what they are, in the plural.
    """
    verb, named = "is" if len(files) == 1 else "are", first_few([f"'{writable(str(file))}'" for file in files])
    return f"{len(files)} of {of} {noun} cannot be read and {verb} left out: {named}."
