"""What a network says of each test example, as a table that people open: ``predictions.csv``."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lit_metanas.io.files import read_regular, write_whole
from lit_metanas.io.text import cell_text, writable

EXAMPLE_ROWS = "predictions.csv"
"""The file of all test examples."""

LARGEST_ROWS = 1 << 28
"""Bytes of a file."""


class ExampleRow(NamedTuple):
    """A test example, and what a network says of it.

    Example:
        >>> import lit_metanas as lm
        >>> lm.records.ExampleRow("photos/3.jpg", "cat", "dog", 0.9, 2.3).right
        False
    """

    example: str  # its file, its text, or its row
    truth: str
    prediction: str
    probability: float  # of the prediction; NaN if the network gives none
    loss: float  # the higher, the worse

    @property
    def right(self) -> bool:
        """Whether the prediction is the truth."""
        return self.truth == self.prediction


def write_example_rows(path: str | os.PathLike[str], rows: Iterable[ExampleRow]) -> None:
    """Write ``example,truth,prediction,probability,loss``, a line for each example, atomically.

    Example:
        >>> import lit_metanas as lm
        >>> row = lm.records.ExampleRow("photos/3.jpg", "cat", "dog", 0.9, 2.3)
        >>> lm.records.write_example_rows("predictions.csv", [row])
        >>> lm.records.read_example_rows("predictions.csv") == [row]
        True
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(ExampleRow._fields)
    for row in rows:
        numbers = ("" if math.isnan(number) else f"{number:.6g}" for number in row[3:])
        lines.writerow([*map(cell_text, row[:3]), *numbers])
    write_whole(path, text.getvalue())


def read_example_rows(path: str | os.PathLike[str]) -> list[ExampleRow]:
    """Read a file of ``write_example_rows``.

    Raises:
        ValueError: it is damaged, or another kind of file.
    """
    fix = "delete it, or run `auto` again into another folder"
    try:
        text = read_regular(path, LARGEST_ROWS).decode()
        heading, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(heading) != ExampleRow._fields:
            raise ValueError(f"does not begin with {','.join(ExampleRow._fields)}")
        found = [(*row[:3], *(float(cell or "nan") for cell in row[3:])) for row in rows]
        return [ExampleRow._make(row) for row in found]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"'{writable(str(Path(path)))}' is damaged or another file ({error}): {fix}.") from None
