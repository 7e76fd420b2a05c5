"""A digest of examples as they were read, so that a resumed run finds that they have changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lit_metanas.io.class_folders import excluding
from lit_metanas.io.files import open_regular
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.given_data import Given, kind_of_examples
from lit_metanas.kinds.given_pairs import is_pair
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.kind_of_path import parts_in
from lit_metanas.tasks.labels import Groups


def raw_digest(
    data: Given,
    kind: Kind,
    test: Given | None,
    group: str | Groups | None,
    exclude: Sequence[str] | None = None,
    reading: FileReading | None = None,
) -> str | None:
    """A digest of files or texts as they were read, of which a preprocessing may hide something, such as capitals."""
    digest = hashlib.sha256()
    for given in (data, test):
        if given is None:
            continue
        if isinstance(given, str | os.PathLike):
            with excluding(exclude or ()):
                files = list(_files_read(Path(given), kind, deep=group is not None))
            for name, file in files:
                if reading is not None and reading.leaves_out(file) and file.suffix.lower() in kind.class_files:
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
    parts = parts_in(path)
    for part in (path,) if parts is None else (parts.train, parts.test):
        if part is not None:
            files = kind.files_of(part, deep) if part.is_dir() else [part]
            yield from ((file.relative_to(path).as_posix(), file) for file in sorted(files))
