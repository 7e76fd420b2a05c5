"""The Markdown report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lit_metanas.atomic import replacing
from lit_metanas.report.table import ProtocolTable, to_markdown
from lit_metanas.report.units import duration


@dataclass(frozen=True)
class Picture:
    """A figure of the report: its ``file`` beside the report, a ``title`` and a ``caption`` (may be empty)."""

    file: str
    title: str
    caption: str


def write_markdown(path: str | os.PathLike[str], tables: Sequence[ProtocolTable], pictures: Sequence[Picture]) -> None:
    """Write tables, figures, and where each row comes from, atomically."""
    parts = ["# Report\n", "## Results\n", *(to_markdown(table) for table in tables), "## Figures\n"]
    for picture in pictures:
        text = f"\n{picture.caption}\n" if picture.caption else ""
        parts.append(f"### {picture.title}\n\n![{picture.title}]({picture.file})\n{text}")
    parts += ["## Where each row comes from\n", *(_origins(table) for table in tables)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


def _origins(table: ProtocolTable) -> str:
    """Seeds, batch-norm mode, times, machine and configuration of each row."""
    lines = [
        f"### {table.title}\n",
        "| method | seeds | batch norm | meta-training | search a task | hardware | configuration |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for row in table.rows:
        cells = (
            row.method,
            ", ".join(map(str, row.seed_numbers)),
            row.batch_norm,
            duration(row.meta_seconds),
            duration(row.search_seconds),
            "; ".join(row.hardware) or "unknown",
            ", ".join(f"`{config}`" for config in row.configs) or "unknown",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
