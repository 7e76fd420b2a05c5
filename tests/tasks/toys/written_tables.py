"""Rows as a file, and as what this package sees of a data frame."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any


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
    """What this package sees of a data frame, of values by the names of columns."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values, self.columns, self.ndim = values, list(values), 2
        self.shape = len(self), len(values)

    def __getitem__(self, key: Any) -> Any:
        return Frame({name: self.values[name] for name in key}) if isinstance(key, list) else self.values[key]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))
