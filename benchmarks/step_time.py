"""How well the cost model of time predicts training steps of random architectures, for each space and precision.

Run: ``python benchmarks/step_time.py``. One thread; the fastest of some steps of each network, in seconds of the
processor. Predictions are those of nominal rates, times one number for the pace of the machine. ``--fit FILE`` (needs
SciPy) writes nominal rates that are fitted to the measured steps instead.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from figure import one_thread
from torch import Tensor, nn

from lit_metanas import GridSpace, ImageShape, SeriesShape, TokenShape, default_space
from lit_metanas.inputs.batches import at_least_float32, blank_inputs, channels_last
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.text import hardware
from lit_metanas.spaces import LayeredSpace, SearchSpace
from lit_metanas.training.precision import autocast
from lit_metanas.training.step_time import nominal_rates, predicted_seconds, step_work

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
    seconds = {precision: fastest_step(network, inputs, precision) for precision, network in networks.items()}
    return step_work(space, architecture, shape, 10).total(BATCH_SIZE), seconds


def fastest_step(network: nn.Module, inputs: Tensor, precision: str, steps: int = 6) -> float:
    """The seconds of the fastest of some training steps of a network of classes."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch's types lack
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    labels, found = torch.zeros(len(inputs), dtype=torch.int64), list[float]()
    for _ in range(1 + steps):  # the first allocates memory
        begin = process_time()
        with autocast(precision, inputs.device):
            scores = network(inputs)
        loss = F.cross_entropy(at_least_float32(scores), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(process_time() - begin)
    return min(found[1:])


def fitted_rates(works: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> dict[str, float]:
    """Rates of kinds of work, none negative, with the least sum of squares of predictions' relative errors."""
    from scipy.optimize import nnls

    kinds = sorted({kind for work in works for kind in work})
    amounts = np.array([[work.get(kind, 0.0) for kind in kinds] for work in works]) / np.array(seconds)[:, None]
    units = amounts.max(0)  # amounts differ by ten orders of magnitude
    rates = nnls(amounts / units, np.ones(len(works)))[0] / units
    return dict(zip(kinds, rates.tolist(), strict=True))


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
    one_thread()
    numbers = range(options.first, options.first + options.networks)
    found = {name: [measured(name, number) for number in numbers] for name in CASES}
    print(f"{hardware()}\n{'':45s} networks median error within 20 % 90 % within")
    for precision in PRECISIONS:
        every = [(work, seconds[precision]) for rows in found.values() for work, seconds in rows]
        nominal = nominal_rates(precision)
        pace = median(seconds / predicted_seconds(work, nominal) for work, seconds in every)
        for name, rows in found.items():
            errors = [pace * predicted_seconds(work, nominal) / taken[precision] - 1 for work, taken in rows]
            report(f"{precision}, nominal x {pace:.2f}, {name}", errors)
        report(f"{precision}, all", [pace * predicted_seconds(work, nominal) / seconds - 1 for work, seconds in every])
    if options.fit:
        works = [work for rows in found.values() for work, _ in rows]
        tables = {}
        for precision in PRECISIONS:
            seconds = [taken[precision] for rows in found.values() for _, taken in rows]
            tables[precision] = {"rates": fitted_rates(works, seconds)}
        options.fit.write_text(yaml.safe_dump(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
