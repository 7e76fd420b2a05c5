"""Records of many searches in one file, a line of JSON for each: what later searches learn from."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lit_metanas.io.files import read_regular, write_whole
from lit_metanas.io.json_files import parse_json
from lit_metanas.io.locks import changing
from lit_metanas.io.text import printable
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchRecord
from lit_metanas.spaces.choice_space import ChoiceSpace

LARGEST_RECORDS = 1 << 28
"""Bytes of a file of records."""

SHIPPED = "shipped"
"""Stands for the package's own file of records: 48 networks of a default space on each of 37 small tasks of images,
speech, series and texts (``benchmarks/shipped_records.py``)."""

SHIPPED_FILE = Path(__file__).with_name("shipped_records.jsonl")

SHIPPED_EPISODES = "shipped-episodes"
"""Stands for the package's own file of meta-trainings: networks with recipes on episodes of glyphs and of Omniglot
(``benchmarks/few_shot_pools.py``)."""

SHIPPED_EPISODES_FILE = Path(__file__).with_name("shipped_episodes.jsonl")

LINE_SCHEMA = 1
"""Version of a line. A line of a newer version is left out."""

_SHIPPED_FILES = {SHIPPED: SHIPPED_FILE, SHIPPED_EPISODES: SHIPPED_EPISODES_FILE}


def record_file(path: str | os.PathLike[str]) -> Path:
    """The file of records that a path names, which may be ``shipped`` or ``shipped-episodes``, see above."""
    shipped = _SHIPPED_FILES.get(path) if isinstance(path, str) else None
    return shipped or Path(path)


def write_record_lines(path: str | os.PathLike[str], records: Iterable[SearchRecord]) -> None:
    """Write ``{"schema": 1, "task_id": ..., "trials": [...], ...}`` for each search, atomically.

    Example:
        >>> import lit_metanas as lm
        >>> lm.write_record_lines("records.jsonl", [lm.SearchRecord("letters"), lm.SearchRecord("digits")])
        >>> [record.task_id for record in lm.read_record_lines("records.jsonl")]
        ['letters', 'digits']
    """
    _write(path, [_line(record) for record in records])


def read_record_lines(path: str | os.PathLike[str], space: ChoiceSpace | None = None) -> list[SearchRecord]:
    """Read what ``write_record_lines`` wrote, or several such files one after the other.

    A line that is damaged, foreign, of a newer version, or of another space than ``space``, is left out, with a
    warning that says why. The searches of a smaller space are also of the larger one.

    Args:
        path: the file; ``shipped`` is the package's own of tasks, ``shipped-episodes`` that of sources of episodes.
        space: what every architecture must be one of; None takes all lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no line is left.

    Example:
        >>> import lit_metanas as lm
        >>> lm.write_record_lines("records.jsonl", [lm.SearchRecord("letters", method="random")])
        >>> lm.read_record_lines("records.jsonl")[0].method
        'random'
    """
    if path in _SHIPPED_FILES:
        path = record_file(path)
        if space is None:
            return list(_shipped_records(path))
    parsed = list(_parse(path, space))
    records = [found for _, found in parsed if isinstance(found, SearchRecord)]
    refused = [found for _, found in parsed if isinstance(found, str)]
    if not records:
        why = printable(refused[0]) if refused else "it is empty"
        fix = (
            "give a file that `lit-metanas search` wrote"
            if space is None
            else f"give a file of searches in {space.name}, or the space that was searched, for a fit by "
            "--model.encoding.space and --data.encoding.space"
        )
        raise ValueError(f"'{os.fspath(path)}' has no usable record of a search ({why}): {fix}.")
    for reason in refused:
        warnings.warn(f"'{os.fspath(path)}', left out: {printable(reason)}.", stacklevel=2)
    return records


@cache
def _shipped_records(path: Path) -> tuple[SearchRecord, ...]:
    """Records of the package, read once, which takes longer than to choose from them."""
    return tuple(read_record_lines(path))


def merge_record_lines(path: str | os.PathLike[str], records: Iterable[SearchRecord]) -> None:
    """Add searches to a file, which may be absent, atomically.

    A search of the same task, space, method and seed is replaced; lines that cannot be read are left as they are.

    Example:
        >>> import lit_metanas as lm
        >>> for task in ("letters", "digits", "letters"):
        ...     lm.merge_record_lines("records.jsonl", [lm.SearchRecord(task)])
        >>> [record.task_id for record in lm.read_record_lines("records.jsonl")]
        ['digits', 'letters']
    """
    added = list(records)
    replaced = {_search(record) for record in added}
    with changing(path):
        kept = [
            line
            for line, found in (_parse(path, None) if Path(path).is_file() else ())
            if isinstance(found, str) or _search(found) not in replaced
        ]
        _write(path, [*kept, *(_line(record) for record in added)])


def _search(record: SearchRecord) -> tuple[str, str, str, int]:
    return record.task_id, record.space, record.method, record.seed


def _line(record: SearchRecord) -> bytes:
    document = {"schema": LINE_SCHEMA, **to_plain(record)}
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _write(path: str | os.PathLike[str], lines: Iterable[bytes]) -> None:
    write_whole(path, b"".join(line + b"\n" for line in lines))


def _parse(path: str | os.PathLike[str], space: ChoiceSpace | None) -> Iterator[tuple[bytes, SearchRecord | str]]:
    """Each line with its record, or with why it is none."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file '{file}': run `lit-metanas search` first, or give the right path.")
    try:
        content = read_regular(file, LARGEST_RECORDS)
    except ValueError as error:
        raise ValueError(f"'{file}' {error}: give a file that `lit-metanas search` wrote.") from None
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = _record(line)
            if space is not None:
                check_record(record, space)
        except ValueError as error:
            yield line, f"line {number} {error}"
        else:
            yield line, record


def _record(line: bytes) -> SearchRecord:
    """Read one line.

    Raises:
        ValueError: it is not a record, in words that go on after ``line 7``.
    """
    document = parse_json(line)
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise ValueError("has no schema number and so is not a record of a search")
    schema = document.pop("schema")
    if schema > LINE_SCHEMA:
        raise ValueError(f"has schema {schema}, of a newer version of the program (this one reads up to {LINE_SCHEMA})")
    try:
        return from_plain(SearchRecord, document, "record")
    except ValueError as error:
        raise ValueError(f"is not a record of a search: {error}") from None


def check_record(record: SearchRecord, space: ChoiceSpace) -> None:
    """Compare a record with the space that it is to be of.

    Raises:
        ValueError: it has another name, or an architecture is not of the space, in words that go on after ``line 7``.
    """
    if record.space and record.space != space.name:
        raise ValueError(f"is of task '{record.task_id}' in the space {record.space}, not {space.name}")
    try:
        for trial in record.trials:
            space.canonical(trial.architecture)
    except ValueError as error:
        raise ValueError(
            f"is of task '{record.task_id}' in another space than this {space.name}: {str(error).rstrip('.')}"
        ) from None
