"""Figures with their targets: one table, one JSON file; and the command lines of the benchmarks that make them."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

import torch
from ratio import Ratio

from lit_metanas.io import tune_allocator
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware

Row = TypeVar("Row")


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


def write_document(path: Path, benchmark: str, **content: object) -> None:
    """Write results as JSON, with the machine they were measured on."""
    document = {"benchmark": benchmark, "hardware": hardware(), "load": round(load(), 1), **content}
    write_whole(path, json.dumps(document, indent=1) + "\n")


def document_rows(path: Path | None, row: Callable[..., Row]) -> list[Row]:
    """The rows of a document that an interrupted run has left; ``row`` makes one of its values."""
    if path is None or not path.exists():
        return []
    return [row(**values) for values in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def report(figures: Sequence[Figure], output: Path | None, benchmark: str) -> None:
    """Print the figures, and write them to the file of ``--output``, if it is given."""
    show(figures)
    if output is not None:
        write_document(output, benchmark, figures=[{**asdict(figure), "met": figure.met} for figure in figures])


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A command line with the option ``--output``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser


def one_thread() -> None:
    """Set one thread and the allocator, as ``lit-metanas fit`` does."""
    torch.set_num_threads(1)
    tune_allocator()
