"""New examples of files, folders, tables and standard input, in batches, and their labels if they have any."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lit_metanas.io.class_folders import files_in
from lit_metanas.io.text import MOST_NAMED, writable
from lit_metanas.kinds.kind import Kind, kind_named
from lit_metanas.tasks.task import warn_of_data

# New examples that are read and predicted at once.
EXAMPLES_A_BATCH = 64

# This file is standard input: a text a line, a table, or the name of an image or a sound a line.
STANDARD_INPUT = "-"

# Bytes of standard input.
LARGEST_PIPED = 1 << 28


class NewFile(NamedTuple):
    """A file of new examples."""

    path: Path
    root: Path | None = None  # the folder that was given, if it is not the file itself


class ReadExamples(NamedTuple):
    """New examples that could be read, each with its name in tables, and the file that it is from."""

    examples: list[tuple[str, Any]]
    files: list[NewFile]
    unreadable: list[str]  # why files were left out


def read_new_examples(paths: Sequence[str], kind: str, held: ExitStack | None = None) -> ReadExamples:
    """New examples of the kind that a user names, without files that cannot be read, which a warning names."""
    own, found = kind_named(kind), ReadExamples([], [], [])
    with ExitStack() as briefly:
        files = list(_files(own, _with_standard_input(paths, own, held or briefly)))
        for file in files:
            try:
                examples = _examples(own, file, several=len(files) > 1)
            except (OSError, ValueError) as error:
                if len(files) == 1:
                    raise
                found.unreadable.append(str(error))
                continue
            found.examples.extend(examples)
            found.files.extend([file] * len(examples))
    report_unreadable(found.unreadable, len(files) - len(found.unreadable), "files")
    if not found.examples:
        named = " and ".join(f"'{writable(path)}'" for path in paths) or "an empty list"
        raise ValueError(f"There are no new examples in {named}: give files or folders that have some.")
    return found


def report_unreadable(reasons: Sequence[str], read: int, noun: str) -> None:
    """Warn of what was left out, and why; ValueError if none of the others was read."""
    number = len(reasons)
    if not reasons:
        return
    if not read:
        raise ValueError(reasons[0] + f" Nor can {number - 1} other {noun} be read." * (number > 1))
    more = f" And {number - MOST_NAMED} more." * (number > MOST_NAMED)
    named = " ".join(reasons[:MOST_NAMED])
    warn_of_data(f"{number} of {read + number} {noun} cannot be read, and are left out. {named}{more}")


def labels_of_new(read: ReadExamples, kind: str, classes: Sequence[str], *, numbers: bool = False) -> list[str]:
    """The label of each example: of a table with such a column, or of class folders; empty where there is none."""
    labels = list[str]()
    for file, group in groupby(read.files):
        count, own = len(list(group)), list[str]()
        if not numbers and file.root is not None:
            folder = file.path.relative_to(file.root).parts[0]
            own = [folder for _ in range(count) if folder in classes]
        if not own:
            own = kind_named(kind).new_labels(file.path, classes, numbers=numbers)
        labels += own if len(own) == count else [""] * count
    return labels


def in_batches(examples: Sequence[Any]) -> list[Sequence[Any]]:
    """Examples in lists of ``EXAMPLES_A_BATCH``."""
    return [examples[at : at + EXAMPLES_A_BATCH] for at in range(0, len(examples), EXAMPLES_A_BATCH)]


def _files(kind: Kind, paths: Sequence[Path]) -> Iterator[NewFile]:
    """The files themselves, and all of folders and their sub-folders but hidden ones."""
    for path in paths:
        if path.is_dir():
            yield from (NewFile(file, path) for file in files_in(path, kind.new_files or kind.class_files, deep=True))
        else:
            yield NewFile(path)


def _examples(kind: Kind, file: NewFile, *, several: bool) -> list[tuple[str, Any]]:
    found = kind.new_examples([str(file.path)])
    if kind.class_files and file.root is not None and all(isinstance(one, str) for _, one in found):
        text = " ".join(one for _, one in found)  # a text, as in class folders
        return [(text, text)] if text else []
    if several:
        place = f" of '{writable(str(file.path))}'"
        found = [(f"{name}{place}" if name.startswith("line ") else name, one) for name, one in found]
    return found


def _with_standard_input(paths: Sequence[str], kind: Kind, held: ExitStack) -> list[Path]:
    """The paths, with what standard input holds in place of ``-``: the files that it names, or a copy of it."""
    found = list[Path]()
    for path in paths:
        if path != STANDARD_INPUT:
            found.append(Path(path))
            continue
        content = sys.stdin.buffer.read(LARGEST_PIPED + 1)
        if len(content) > LARGEST_PIPED:
            raise ValueError(f"Standard input has more than {LARGEST_PIPED} bytes: give a file, or less at once.")
        if not kind.piped:
            found += [Path(line) for line in content.decode(errors="surrogateescape").split("\n") if line]
            continue
        copy = Path(held.enter_context(TemporaryDirectory()), f"standard input{kind.piped}")
        copy.write_bytes(content)
        found.append(copy)
    return found
