"""Folders with a sub-folder of files for each class."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lit_metanas.io.text import is_text, number_of, writable


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
