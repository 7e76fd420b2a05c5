"""Figures with their targets: one table, one JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from ratio import Ratio

from lit_metanas.io.files import replacing
from lit_metanas.io.text import hardware


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured.
        value: the number; a median where it was measured several times.
        unit: its unit, or "" for a ratio.
        target: what is wanted, or None.
        wanted: whether the value is to be at least or at most the target.
        spread: smallest and largest measurement, where there were several.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    wanted: Literal["at least", "at most"] = "at least"
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """Whether the target, if any, is reached."""
        if self.target is None:
            return True
        return self.value >= self.target if self.wanted == "at least" else self.value <= self.target


def times_as_fast(row: Ratio, name: str) -> Figure:
    """How many times as fast as the baseline one way is."""
    return Figure(name, row.ratio, target=row.target, spread=(row.low, row.high))


def of_pairs(name: str, ratios: Sequence[float], target: float | None) -> Figure:
    """The median of ratios that are to be at least the target, if any."""
    return Figure(name, median(ratios), target=target, spread=(min(ratios), max(ratios)))


def load() -> float:
    """How many processes wanted to run in the last minute: figures of a busy machine are provisional."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def show(figures: Sequence[Figure]) -> None:
    """Print the figures as a table with one line each."""
    if load() > (os.cpu_count() or 1):
        print(f"The machine is busy (load {load():.1f}): the figures are provisional.")
    width = max(len(figure.name) for figure in figures)
    print(f"{'':{width}}  {'figure':>12}  {'range':>18}  target")
    for figure in figures:
        value = f"{figure.value:.2f} {figure.unit}".rstrip()
        spread = "" if figure.spread is None else f"{figure.spread[0]:.2f} to {figure.spread[1]:.2f}"
        target = ""
        if figure.target is not None:
            target = f"{figure.wanted} {figure.target:.4g} {figure.unit}".rstrip()
            target += ": met" if figure.met else ": MISSED"
        print(f"{figure.name:{width}}  {value:>12}  {spread:>18}  {target}".rstrip())


def write(path: Path, *, title: str, figures: Sequence[Figure]) -> None:
    """Write the figures as JSON, with the machine they were measured on."""
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    with replacing(path) as temporary:
        document = {"benchmark": title, "hardware": hardware(), "load": round(load(), 1), "figures": rows}
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
