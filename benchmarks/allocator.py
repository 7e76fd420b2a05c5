"""A training step with the tuned allocator against glibc's default.

Run: ``python benchmarks/allocator.py --output allocator.json``. Conv-4 of 32 channels, 120 images of 28 x 28 pixels,
one thread; pairs of processes, which differ in the environment variable ``LIT_METANAS_ALLOCATOR`` alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from figure import Figure, of_pairs, show, write
from torch.nn.functional import cross_entropy

from lit_metanas.io.allocator import SWITCH, tune_allocator
from lit_metanas.io.text import hardware
from lit_metanas.spaces import Architecture, LayeredSpace

TARGET = 1.5
SHAPE, WAY, IMAGES = (1, 28, 28), 10, 120
LABELS = {"depth": "4", "kernel": "3", "width": "32", "norm": "batch", "skip": "none", "activation": "ReLU"}


def step_figures(steps: int) -> dict[str, float]:
    """Train for some steps in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = LayeredSpace(shared=True).child(Architecture({**LABELS, "pool": "max", "dropout": "0"}), SHAPE, WAY)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    inputs, labels = torch.rand(IMAGES, *SHAPE), torch.arange(IMAGES) % WAY
    seconds = []
    for number in range(steps + 5):
        if number == 5:
            before = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(network(inputs), labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {
        "milliseconds": 1e3 * median(seconds[5:]),
        "faults": (after.ru_minflt - before.ru_minflt) / steps,
        "system": 100 * system / (user + system),
        "peak": after.ru_maxrss / 1024,
    }


def in_process(tuned: bool, steps: int) -> dict[str, float]:
    """The figures of a process of its own."""
    command = [sys.executable, __file__, "--worker", "--steps", str(steps)]
    environment = {**os.environ, SWITCH: str(int(tuned))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="pairs of processes (default 5)")
    parser.add_argument("--steps", type=int, default=50, help="steps in a process, after five (default 50)")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--worker", action="store_true", help="only measure this process")
    options = parser.parse_args()
    if options.worker:
        tune_allocator()
        print(json.dumps(step_figures(options.steps)))
        return
    print(f"Training step of Conv-4, {IMAGES} images, one thread; {hardware()}")
    pairs = [(in_process(False, options.steps), in_process(True, options.steps)) for _ in range(options.repeats)]
    figures = []
    for place, name in enumerate(("default", "tuned")):
        for key, what, unit in (
            ("milliseconds", "step", "ms"),
            ("faults", "page faults a step", ""),
            ("system", "share of system time", "%"),
            ("peak", "peak memory", "MB"),
        ):
            values = [pair[place][key] for pair in pairs]
            figures.append(Figure(f"{name}, {what}", median(values), unit, spread=(min(values), max(values))))
    ratios = [default["milliseconds"] / tuned["milliseconds"] for default, tuned in pairs]
    figures.append(of_pairs("tuned, times as fast", ratios, TARGET))
    show(figures)
    if options.output:
        write(options.output, title="allocator", figures=figures)


if __name__ == "__main__":
    main()
