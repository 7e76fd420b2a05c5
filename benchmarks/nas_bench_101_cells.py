"""The cells of NAS-Bench-101: how many there are, up to each size, and whether each has a hash of its own.

The published number is 423,624. It takes a minute or two:

    python benchmarks/nas_bench_101_cells.py
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from lit_metanas.io.files import write_whole
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import MAX_VERTICES, module_hash, unique_cells

PUBLISHED = {7: 423_624}
"""Cells of at most so many vertices."""


def count(vertices: int) -> dict[str, list[int]]:
    """Different cells, and different hashes, of at most 2, 3 and so on vertices."""
    counts = dict.fromkeys(range(2, vertices + 1), 0)
    hashes: dict[int, set[str]] = {size: set() for size in counts}
    for cell in unique_cells(vertices):
        counts[cell.vertices] += 1
        hashes[cell.vertices].add(module_hash(cell))
    sizes = range(2, vertices + 1)
    return {
        "vertices": list(sizes),
        "cells": [sum(counts[size] for size in sizes if size <= most) for most in sizes],
        "hashes": [len(set().union(*(hashes[size] for size in sizes if size <= most))) for most in sizes],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, default=MAX_VERTICES, help="of the largest cells, 2 to 7")
    parser.add_argument("--output", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    counts = count(arguments.vertices)
    seconds = time.perf_counter() - begin
    print(f"{'vertices':>8} {'cells':>8} {'hashes':>8} {'published':>9}")
    for row in zip(*counts.values(), strict=True):
        print("{:>8} {:>8} {:>8}".format(*row), f"{PUBLISHED.get(row[0], '–'):>9}")
    print(f"{seconds:.0f} s")
    if arguments.output:
        write_whole(arguments.output, json.dumps({**counts, "seconds": round(seconds, 1)}, indent=1))


if __name__ == "__main__":
    main()
