"""How well the cost model of time predicts training steps of random architectures, for each space and precision.

Run: ``python benchmarks/step_time.py``. One thread; the fastest of some steps of each network, in seconds of the
processor. Predictions are those of nominal rates, times one number for the pace of the machine, and those of the rates
that ``machine_times`` measures. ``--fit FILE`` writes nominal rates that are fitted to the measured steps instead.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import torch
import yaml

from lit_metanas import GridSpace, ImageShape, SeriesShape, TokenShape, default_space
from lit_metanas.inputs.batches import blank_inputs, channels_last
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io import tune_allocator
from lit_metanas.io.text import hardware
from lit_metanas.spaces import LayeredSpace, SearchSpace
from lit_metanas.training.step_time import machine_times, nominal_times, step_work
from lit_metanas.training.step_time.machine_rates import fastest_step, timed_networks
from lit_metanas.training.step_time.step_rates import fit_rates

PRECISIONS = ("32-true", "bf16-mixed")
BATCH_SIZE = 64
IMAGES = [ImageShape(channels, side, side) for channels in (1, 3) for side in (16, 24, 32, 32, 48, 64)]
LAYERED = LayeredSpace(depths=(2, 3, 4), widths=(16, 32, 64, 128), skips=("none", "residual"), norms=("batch", "layer"))
TEXTS = [TokenShape(vocabulary, steps) for vocabulary in (2000, 8000) for steps in (16, 32, 64, 128)]
SERIES = [SeriesShape(features, steps) for features in (8, 40) for steps in (32, 64, 128)]
CASES: Mapping[str, tuple[SearchSpace, Sequence[Shape]]] = {
    "GridSpace": (GridSpace(), IMAGES),
    "LayeredSpace": (LAYERED, IMAGES[:-1]),
    "SequenceSpace, texts": (default_space(TEXTS[0]), TEXTS),
    "SequenceSpace, series": (default_space(SERIES[0]), SERIES),
}
"""Spaces, and shapes of inputs."""


def measured(name: str, number: int) -> tuple[dict[str, float], dict[str, float]]:
    """The work of a step of a random architecture by kinds, and its seconds for each precision."""
    space, shapes = CASES[name]
    torch.manual_seed(number)
    architecture = space.sample(torch.Generator().manual_seed(number))
    shape = random.Random(f"{name} {number}").choice(shapes)
    inputs = blank_inputs(BATCH_SIZE, shape)
    if isinstance(shape, TokenShape):
        inputs = torch.randint_like(inputs, 1, shape.vocabulary)
    elif isinstance(shape, ImageShape):
        inputs = channels_last(torch.rand_like(inputs))
    networks = {precision: space.child(architecture, shape, 10) for precision in PRECISIONS}
    seconds = {
        precision: fastest_step(network, inputs, precision, clock=process_time)
        for precision, network in networks.items()
    }
    return step_work(space, architecture, shape, 10).total(BATCH_SIZE), seconds


def report(title: str, errors: Sequence[float]) -> None:
    """Print a line of the table."""
    within = sum(abs(error) <= 0.2 for error in errors) / len(errors)
    worst = sorted(map(abs, errors))[int(0.9 * len(errors))]
    print(f"{title:45s} {len(errors):8d} {median(map(abs, errors)):12.1%} {within:12.0%} {worst:12.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=12, help="of each space (default 12)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one: others are other networks")
    parser.add_argument("--fit", type=Path, help="write nominal rates to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    numbers = range(options.first, options.first + options.networks)
    machine = {precision: machine_times(precision) for precision in PRECISIONS}
    found = {name: [measured(name, number) for number in numbers] for name in CASES}
    print(f"{hardware()}\n{'':45s} networks median error within 20 % 90 % within")
    for precision in PRECISIONS:
        every = [(work, seconds[precision]) for rows in found.values() for work, seconds in rows]
        nominal = nominal_times(precision)
        pace = median(seconds / nominal.seconds(work) for work, seconds in every)
        for title, times, factor in (("machine", machine[precision], 1.0), (f"nominal x {pace:.2f}", nominal, pace)):
            for name, rows in found.items():
                report(
                    f"{precision}, {title}, {name}",
                    [factor * times.seconds(work) / taken[precision] - 1 for work, taken in rows],
                )
            report(
                f"{precision}, {title}, all", [factor * times.seconds(work) / seconds - 1 for work, seconds in every]
            )
    if options.fit:
        works = [work for rows in found.values() for work, _ in rows]
        tables = {}
        for precision in PRECISIONS:
            probes = [fastest_step(*probe, precision, clock=process_time) for probe in timed_networks()]
            rates = fit_rates(works, [seconds[precision] for rows in found.values() for _, seconds in rows])
            tables[precision] = {"probes": probes, "rates": rates}
        options.fit.write_text(yaml.safe_dump(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
