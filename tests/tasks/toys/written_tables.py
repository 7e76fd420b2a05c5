"""Rows as a file, and as what this package sees of a data frame."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """A table of rows in the form that a name ends in."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
        return str(path)
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0].keys(), delimiter="\t" if path.suffix == ".tsv" else ",")
    table.writeheader()
    table.writerows(rows)
    path.write_text(text.getvalue())
    return str(path)


class Frame:
    """What this package sees of a data frame."""

    def __init__(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        self.rows, self.columns, self.ndim = rows, columns, 2
        self.shape = len(rows), len(columns)

    def __getitem__(self, name: str) -> np.ndarray:
        values = [row[name] for row in self.rows]
        if name == "planted":
            return np.array(values, dtype="datetime64[ns]")
        return np.array(values, dtype=None if name == "old" else object)

    def __len__(self) -> int:
        return len(self.rows)
