"""Folders with a sub-folder of files for each class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.io.text import is_text, number_of, writable

MOST_NAMED = 5
"""Unreadable files that a sentence names."""


def class_folders(root: Path, suffixes: Collection[str], noun: str) -> dict[str, list[Path]]:
    """The files of each class: the sub-folders of a folder, by name.

    Args:
        root: the folder.
        suffixes: how the names of the files end, in small letters.
        noun: what the files are, in the plural, for messages.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is a file; the folder has fewer than two sub-folders; or one of them has no such file, or a name
            that cannot be written in UTF-8.
    """
    if root.exists() and not root.is_dir():
        raise ValueError(
            f"{writable(str(root))} is a single file: give the folder that has one sub-folder of {noun} per class."
        )
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: give a folder with one sub-folder of {noun} per class.")
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        raise ValueError(
            f"{root} has {number_of(len(folders), 'class folder')}: give a sub-folder of {noun} for each of two or "
            "more classes."
        )
    for name in (root.resolve().name, *(folder.name for folder in folders)):
        if not is_text(name):
            raise ValueError(
                f"The name of the folder '{writable(name)}' in {writable(str(root))} is not UTF-8: rename it."
            )
    classes = {folder.name: files_in(folder, suffixes) for folder in folders}
    for name, files in classes.items():
        if not files:
            raise ValueError(f"{root / name} has no {noun} ({', '.join(sorted(suffixes))}): add some or remove it.")
    return classes


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files directly in a folder whose names end so, by name; hidden ones are left out."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith("."))


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
        ValueError: a file is refused and not to be left out, or none of a class can be read.
    """
    found: dict[str, Tensor] = {}
    unreadable: list[Path] = []
    for name, files in classes.items():
        parts = []
        for file in files:
            try:
                parts.append(read(file))
            except ValueError:
                if not skip_unreadable or (file is files[-1] and not parts):  # none of the class: as it is told
                    raise
                unreadable.append(file)
        found[name] = torch.stack(parts)
    return found, unreadable


def left_out(files: Sequence[Path], of: int, noun: str) -> str:
    """The sentence about files that are left out.

    Args:
        files: these.
        of: how many there are in all.
        noun: what they are, in the plural.
    """
    named = ", ".join(f"'{writable(str(file))}'" for file in files[:MOST_NAMED])
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return (
        f"{len(files)} of {of} {noun} cannot be read and {'is' if len(files) == 1 else 'are'} left out: {named}{more}."
    )
