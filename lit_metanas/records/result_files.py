"""Files of results, architectures and predictions, which pass from one phase to the next."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, TypeVar

from lit_metanas.io.files import existing_file, read_regular, write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.locks import changing
from lit_metanas.io.text import cell_content, cell_text, printable, writable
from lit_metanas.records.plain import Stored, from_plain, to_plain
from lit_metanas.records.record import grouped
from lit_metanas.records.rows import ArchitectureRow, ExampleRow, ResultRow, ShownPrediction

_Row = TypeVar("_Row", bound=ResultRow | ArchitectureRow)

# Version of these files. A reader of an older version refuses a newer one.
RESULT_SCHEMA = 1

EXPORT, PREDICTIONS, ERRORS = "model.json", "predictions.json", "errors.json"
"""Files of a kept network: its export, its predictions for some test examples, and its worst errors."""

EXAMPLE_ROWS, LARGEST_ROWS = "predictions.csv", 1 << 28  # the file of all test examples, and its most bytes

INTERVAL_ENDS = ("lower", "upper")  # how columns of the ends of prediction intervals begin

# What the list of rows is called in a file.
_KEYS: dict[type, str] = {ResultRow: "results", ArchitectureRow: "architectures", ShownPrediction: "predictions"}

# Columns of `predictions.csv` that may be missing.
_NUMBERS = ("probability", "loss")


def write_results(path: str | os.PathLike[str], results: Iterable[ResultRow]) -> None:
    """Write ``{"schema": 1, "results": [...]}`` atomically.

    Example:
        >>> lm.records.write_results("results.json", [])
    """
    write_row_file(path, ResultRow, results)


def read_results(path: str | os.PathLike[str]) -> list[ResultRow]:
    """Read a file of ``write_results``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign, of a newer schema, or has a wrong field.

    Example:
        >>> lm.records.write_results("results.json", [])  # as a search does
        >>> lm.records.read_results("results.json")
        []
    """
    return read_row_file(path, ResultRow)


def write_architectures(path: str | os.PathLike[str], rows: Iterable[ArchitectureRow]) -> None:
    """Write ``{"schema": 1, "architectures": [...]}`` atomically.

    Example:
        >>> lm.records.write_architectures("architectures.json", [])
    """
    write_row_file(path, ArchitectureRow, rows)


def read_architectures(path: str | os.PathLike[str]) -> list[ArchitectureRow]:
    """Read a file of ``write_architectures``; errors are those of ``read_results``.

    Example:
        >>> row = lm.records.ArchitectureRow("letters", "random", "LayeredSpace", lm.Architecture({"kernel": "3"}), 0.9)
        >>> lm.records.write_architectures("architectures.json", [row])
        >>> lm.records.read_architectures("architectures.json")[0].architecture
        Architecture({'kernel': '3'})
    """
    return read_row_file(path, ArchitectureRow)


def write_example_rows(path: str | os.PathLike[str], rows: Iterable[ExampleRow]) -> None:
    """Write ``example,truth,prediction``, with probabilities, losses and intervals as far as they are known."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    rows = list(rows)
    known = [name for name in _NUMBERS if not all(math.isnan(getattr(row, name)) for row in rows)]
    more = [*(f"p({name})" for name, _ in rows[0].shares), *(name for name, _ in rows[0].ends)] if rows else []
    lines.writerow([*ExampleRow._fields[:3], *known, *map(cell_text, more)])
    for row in rows:
        numbers = [*(getattr(row, name) for name in known), *(number for _, number in (*row.shares, *row.ends))]
        cells = (f"{number:.6g}".replace("nan", "") for number in numbers)
        lines.writerow([*map(cell_text, row[:3]), *cells])
    write_whole(path, text.getvalue())


def read_example_rows(path: str | os.PathLike[str]) -> list[ExampleRow]:
    r"""Read the ``predictions.csv`` of an output of ``auto``, with all test examples.

    Raises:
        ValueError: it is damaged, or another kind of file.

    Example:
        >>> with open("predictions.csv", "w") as file:
        ...     _ = file.write("example,truth,prediction\nphotos/3.jpg,cat,dog\n")
        >>> lm.records.read_example_rows("predictions.csv")[0].truth
        'cat'
    """
    try:
        text = io.StringIO(read_regular(path, LARGEST_ROWS).decode(), newline="")
        heading, *rows = csv.reader(text, strict=True)
        names = [name for name in heading[3:] if name in _NUMBERS]
        more = heading[3 + len(names) :]
        shares = [name.removeprefix("p(").removesuffix(")") for name in more if name.startswith("p(")]
        ends = [name for name in more if name.startswith(INTERVAL_ENDS)]
        if heading != [*ExampleRow._fields[:3], *names, *(f"p({name})" for name in shares), *ends]:
            raise ValueError(f"does not begin with {','.join(ExampleRow._fields[:3])}")
        found = []
        for row in rows:
            example, truth, prediction = map(cell_content, row[:3])
            numbers = dict(zip([*names, *shares, *ends], (float(cell or "nan") for cell in row[3:]), strict=True))
            probability, loss = (numbers.pop(name, math.nan) for name in _NUMBERS)
            known = tuple((name, numbers.pop(name)) for name in ends)
            found.append(ExampleRow(example, truth, prediction, probability, loss, tuple(numbers.items()), known))
        return found
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(
            f"'{writable(str(Path(path)))}' is damaged or another file ({error}): delete it, or run `auto` again into "
            "another folder."
        ) from None


class KeptNetwork(NamedTuple):
    """A chosen network with kept weights: its row, and the folder that ``predict`` takes if it was exported."""

    row: ArchitectureRow
    folder: Path

    def has(self, file: str) -> bool:
        """Whether the folder has a file of this name."""
        return (self.folder / file).is_file()


def kept_networks(directory: Path) -> list[KeptNetwork]:
    """The networks with kept weights in a search's ``architectures.json``, which may be absent, in its order."""
    chosen = directory / "architectures.json"
    if not chosen.is_file():
        return []
    return [KeptNetwork(row, (directory / row.weights).parent) for row in read_architectures(chosen) if row.weights]


def best_networks(networks: Sequence[KeptNetwork]) -> dict[str, KeptNetwork]:
    """For each task, the best network of the method with the highest mean validation score; without scores none."""
    # Test scores play no part: a network that was chosen by its test score has no fair one left to report.
    scored = [network for network in networks if math.isfinite(network.row.value)]
    found = {}
    for task, of_task in grouped((network.row.task_id, network) for network in scored).items():
        by_method = grouped((network.row.method, network) for network in of_task)
        own = max(by_method.values(), key=lambda some: fmean(one.row.value for one in some))
        found[task] = max(own, key=lambda network: network.row.value)
    return found


def same_row(row: ResultRow | ArchitectureRow) -> tuple[object, ...]:
    """The values that two rows share if the later one replaces the earlier: method, task, seed, and protocol."""
    protocol = getattr(row, "protocol", None)
    if protocol is not None and protocol.name == "target":
        protocol = replace(protocol, batch_norm="")  # a search may find a network with batch norm, or one without
    return row.method, row.task_id, row.seed, protocol


def merge_row_file(path: str | os.PathLike[str], kind: type[_Row], rows: Sequence[_Row]) -> None:
    """Add rows of results or architectures to a file, which may be absent; see ``same_row`` for which are replaced."""
    replaced = {same_row(row) for row in rows}
    with changing(path):
        kept = read_row_file(path, kind) if Path(path).is_file() else []
        write_row_file(path, kind, [*(row for row in kept if same_row(row) not in replaced), *rows])


def write_row_file(path: str | os.PathLike[str], kind: type[Stored], rows: Iterable[Stored]) -> None:
    """Write ``{"schema": 1, "predictions": [...]}``, or what rows of this kind are called, atomically."""
    document = {"schema": RESULT_SCHEMA, _KEYS[kind]: [to_plain(row) for row in rows]}
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_row_file(path: str | os.PathLike[str], kind: type[Stored]) -> list[Stored]:
    """Read a file of ``write_row_file``; errors are those of ``read_results``."""
    file, key = Path(path), _KEYS[kind]
    if file.is_dir():
        raise FileNotFoundError(f"'{file}' is a folder: give a file in it, such as '{file / key}.json'.")
    existing_file(file, "file", "run `lit-metanas auto` or `search` first, or give the right path")
    fix = "give a file that `lit-metanas search` wrote, or write it again"
    document = read_json(file, fix)
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise ValueError(f"'{file}' has no schema number and so is not a file of {key}: {fix}.")
    if document["schema"] > RESULT_SCHEMA:
        raise ValueError(
            f"'{file}' has schema {document['schema']}, which a newer version of the program wrote (this one reads up "
            f"to {RESULT_SCHEMA}): update lit-metanas."
        )
    rows = document.get(key)
    if not isinstance(rows, list):
        raise ValueError(f"'{file}' has no list '{key}': {fix}.")
    try:
        return [from_plain(kind, row, f"{key}[{index}]") for index, row in enumerate(rows)]
    except ValueError as error:
        raise ValueError(f"'{file}' cannot be read: {printable(str(error))}: {fix}.") from None
