"""Memory and time of ``auto`` on a folder of 100,000 images of 64x64, made by formula (Linux).

Memory is the most that all processes hold together at a time, pages that they share counted once (``Pss``); the same
without mapped files, whose pages the system takes back where others need them; and the most that one process has held
(``VmHWM``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import numpy as np
from PIL import Image

CLASSES, SIDE = 10, 64


def make(folder: Path, images: int) -> None:
    """Write images, a sub-folder for each class; a class is a direction and a wave length of stripes."""
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_make_class, folder, images // CLASSES), range(CLASSES)))


def _make_class(folder: Path, images: int, label: int) -> None:
    own = folder / f"class_{label}"
    own.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    draw = np.random.default_rng(label)
    for number in range(images):
        angle = np.pi * label / CLASSES + draw.normal(0, 0.2)
        wave = np.sin(2 * np.pi * ((4 + label % 3) * (np.cos(angle) * columns + np.sin(angle) * rows) + draw.random()))
        light = np.kron(draw.uniform(60, 200, (4, 4, 3)), np.ones((SIDE // 4, SIDE // 4, 1)))
        pixels = light + 40 * wave[..., None] + draw.normal(0, 12, (SIDE, SIDE, 1))
        ending = ("jpg", "png")[number % 100 == 0]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(own / f"{number}.{ending}", quality=70)


def measure(command: list[str], output: Path) -> dict[str, float]:
    """Run a command; returns megabytes, and seconds: of a clock and of all processors, before the search and in all."""
    begin, most, prepared, worked = perf_counter(), [0.0, 0.0, 0.0], 0.0, 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        held = [_memory(pid) for pid in _family(process.pid)]
        together, without, largest = zip(*held, strict=True)
        most = [*map(max, most, (sum(together), sum(without), max(largest)))]
        if not prepared and (output / "auto.json").is_file():
            plan = json.loads((output / "auto.json").read_text()).get("plan")
            if plan:
                prepared, worked = perf_counter() - begin, _worked(process.pid)
        sleep(0.4)
    seconds = perf_counter() - begin
    memory = dict(zip(("MB", "MB without files", "MB of the largest"), most, strict=True))
    times = {"s before search": prepared, "CPU s before search": worked, "s": seconds}
    return {"exit": process.returncode, **memory, **times}


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found, waiting = list[int](), [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _worked(pid: int) -> float:
    """Seconds of processors that a process, and those of its children that have ended, have taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> tuple[float, float, float]:
    """Megabytes of a process: its share of what it holds, without mapped files, and the most that it has held."""
    try:
        now = Path(f"/proc/{pid}/smaps_rollup").read_text()
        peak = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0, 0.0, 0.0
    own = _megabytes(now, "Pss:")
    return own, own - _megabytes(now, "Pss_File:"), _megabytes(peak, "VmHWM:")


def _megabytes(text: str, name: str) -> float:
    return next((float(line.split()[1]) / 1e3 * 1.024 for line in text.splitlines() if line.startswith(name)), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where images are made, and stay; by default they are removed")
    parser.add_argument("options", nargs="*", help="of lit-metanas auto, after --, such as -- --minutes 5 --shape 64")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary, "images")
        if not folder.exists():
            make(folder, given.images)
        output = Path(temporary, "output")
        command = [sys.executable, "-m", "lit_metanas", "auto", os.fspath(folder), "--output", os.fspath(output)]
        found = measure([*command, *given.options], output)
        print({name: round(value, 1) for name, value in found.items()})


if __name__ == "__main__":
    main()
