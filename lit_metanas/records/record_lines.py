"""Records of many searches in one file, one line of JSON each, from which later searches learn."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lit_metanas.io.files import existing_file, read_regular, write_whole
from lit_metanas.io.json_files import parse_json
from lit_metanas.io.locks import changing
from lit_metanas.io.text import printable
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchRecord
from lit_metanas.spaces.choice_space import ChoiceSpace

# Bytes of a file of records.
LARGEST_RECORDS = 1 << 28

SHIPPED = "shipped"
"""Stands for the package's own file of records: 24 networks on each of 12 small tasks of speech and series, and 48 on
each of 10 of texts (``benchmarks/shipped_records.py``)."""

SHIPPED_FILE = Path(__file__).with_name("shipped_records.jsonl")

# Meta-trainings: networks with recipes on episodes of glyphs and of Omniglot (`benchmarks/few_shot_pools.py`).
SHIPPED_EPISODES_FILE = Path(__file__).with_name("shipped_episodes.jsonl")

# Version of a line. Readers leave out lines of a newer version.
LINE_SCHEMA = 1

_SHIPPED_FILES = {SHIPPED: SHIPPED_FILE, "shipped-episodes": SHIPPED_EPISODES_FILE}


def record_file(path: str | os.PathLike[str]) -> Path:
    """The file of records that a path names, which may be ``shipped`` or ``shipped-episodes``."""
    if isinstance(path, str) and path in _SHIPPED_FILES:
        return _SHIPPED_FILES[path]
    return Path(path)


def write_record_lines(path: str | os.PathLike[str], records: Iterable[SearchRecord]) -> None:
    """Write ``{"schema": 1, "task_id": ..., "trials": [...], ...}`` for each search, atomically.

    Example:
        >>> lm.records.write_record_lines("records.jsonl", [lm.records.SearchRecord("letters")])
    """
    _write(path, [_line(record) for record in records])


def read_record_lines(path: str | os.PathLike[str], space: ChoiceSpace | None = None) -> list[SearchRecord]:
    """Read a file of ``write_record_lines``, or several such files joined together.

    A line that is damaged, foreign, of a newer version or of another space is left out, and a warning gives the reason.
    The searches of a smaller space belong to the larger one, too.

    Args:
        path: the file; ``shipped`` is the package's own file of tasks, ``shipped-episodes`` that of episodes' sources.
        space: the space that every architecture must belong to; None takes all lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no line is usable.

    Example:
        >>> lm.records.write_record_lines("records.jsonl", [lm.records.SearchRecord("letters", method="random")])
        >>> lm.records.read_record_lines("records.jsonl")[0].method
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
        why = printable(next(iter(refused), "it is empty"))
        fix = "give a file that `lit-metanas search` wrote"
        if space is not None:
            fix = (
                f"give a file of searches in {space.name}, or the space that was searched, for a fit by "
                "--model.encoding.space and --data.encoding.space"
            )
        raise ValueError(f"'{os.fspath(path)}' has no usable record of a search ({why}): {fix}.")
    for reason in refused:
        warnings.warn(f"'{os.fspath(path)}', left out: {printable(reason)}.", stacklevel=2)
    return records


@cache
def _shipped_records(path: Path) -> tuple[SearchRecord, ...]:
    """Records of the package, read only once, since reading takes longer than a choice from them."""
    return tuple(read_record_lines(path))


def merge_record_lines(path: str | os.PathLike[str], records: Iterable[SearchRecord]) -> None:
    """Add searches to a file, which may be absent, atomically.

    A search with the same task, space, method and seed is replaced. Lines that cannot be read stay as they are.

    Example:
        >>> for task in ("letters", "digits", "letters"):
        ...     lm.records.merge_record_lines("records.jsonl", [lm.records.SearchRecord(task)])
        >>> [record.task_id for record in lm.records.read_record_lines("records.jsonl")]
        ['digits', 'letters']
    """
    added = list(records)
    replaced = {_search(record) for record in added}
    with changing(path):
        lines = []
        if Path(path).is_file():
            lines = [line for line, own in _parse(path, None) if isinstance(own, str) or _search(own) not in replaced]
        _write(path, [*lines, *map(_line, added)])


def _search(record: SearchRecord) -> tuple[str, str, str, int]:
    return record.task_id, record.space, record.method, record.seed


def _line(record: SearchRecord) -> bytes:
    return json.dumps({"schema": LINE_SCHEMA, **to_plain(record)}, ensure_ascii=False, allow_nan=False).encode()


def _write(path: str | os.PathLike[str], lines: Iterable[bytes]) -> None:
    write_whole(path, b"".join(line + b"\n" for line in lines))


def _parse(path: str | os.PathLike[str], space: ChoiceSpace | None) -> Iterator[tuple[bytes, SearchRecord | str]]:
    """Each line with its record, or with the reason why it has none."""
    file = existing_file(path, "file", "run `lit-metanas search` first, or give the right path")
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
    """Read one line; the message of a ValueError continues ``line 7``."""
    document = parse_json(line)
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise ValueError("has no schema number and so is not a record of a search")
    schema = document.pop("schema")
    document.pop("embedding", None)  # a field of earlier versions
    if schema > LINE_SCHEMA:
        raise ValueError(f"has schema {schema}, of a newer version of the program (this one reads up to {LINE_SCHEMA})")
    try:
        return from_plain(SearchRecord, document, "record")
    except ValueError as error:
        raise ValueError(f"is not a record of a search: {error}") from None


def records_of_space(paths: Iterable[str], records: Iterable[SearchRecord], space: ChoiceSpace) -> list[SearchRecord]:
    """Records of files and records in memory, all of which have to be of one space."""
    found = [record for path in paths for record in read_record_lines(path, space)]
    for place, record in enumerate(records, start=1):
        try:
            check_record(record, space)
        except ValueError as error:
            raise ValueError(f"Record {place} {error}: leave it out, or give the space that was searched.") from None
        found.append(record)
    return found


def check_record(record: SearchRecord, space: ChoiceSpace) -> None:
    """Refuse a record of another space; the message of the ValueError continues ``line 7``."""
    if record.space and record.space != space.name:
        raise ValueError(f"is of task '{record.task_id}' in the space {record.space}, not {space.name}")
    try:
        for trial in record.trials:
            space.canonical(trial.architecture)
    except ValueError as error:
        raise ValueError(
            f"is of task '{record.task_id}' in another space than this {space.name}: {str(error).rstrip('.')}"
        ) from None
