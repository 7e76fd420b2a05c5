"""What a pretrained encoder adds on other photographs: ``auto`` behind it, against ``auto`` from scratch.

The first network of the kind learns the first 80 classes of Caltech-101; its last layer is cut off. On
the other 21 classes both searches have the same FLOPs, of which the features are paid, and the same examples. Rows are
kept as they are measured, one a line. Run:

    python benchmarks/encoders.py --data FOLDER
    python benchmarks/encoders.py

The second form makes the table of what was written. The folder is that of ``mixed_tasks.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from bootstrap import mean_and_interval
from kept_rows import kept_rows, read_rows
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.io.arrays import read_npz
from lit_metanas.kinds.images.image_kind import CONV_NET
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.training import Child, Encoder, Recipe
from lit_metanas.training.child import fit_child

RESULTS = Path(__file__).parent / "results" / "encoders.jsonl"
KNOWN, METHODS = 80, ("encoder", "encoder and none", "none")
RECIPE = Recipe(epochs=10, batch_size=64, learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.1, warmup=0.1,
                augmentation="light", mirror=True)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A search."""

    method: str
    seed: int
    flops: float
    score: float  # of the test part
    encoding: float  # forward FLOPs of the features
    view: str


class Features(nn.Module):
    """A network up to its features."""

    def __init__(self, network: ChildNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to ``(n, features)``."""
        return self.network.embed(inputs)


def task(data: Path, known: bool, seed: int) -> lm.Task:
    """Photographs of the classes that the encoder knows, or of the others."""
    arrays = read_npz(data / "caltech101_32.npz", "get the compact Caltech-101 again")
    rows = (arrays["label"] < KNOWN) == known
    return lm.task_from_arrays(arrays["images"][rows], arrays["label"][rows], seed=seed, channels="last")


def encoder(data: Path) -> Encoder:
    """A network that was trained on the known classes, without its classifier."""
    learned = task(data, known=True, seed=0)
    space = lm.GridSpace(widths=(32,), stages=(4,), depths=(1,))
    usual = space.by_choice(CONV_NET)
    one = space.canonical({each.name: usual.get(each.name, each.labels[0]) for each in space.choices})
    torch.manual_seed(0)
    child = Child(space=space, architecture=one, shape=learned.shape, way=learned.way, recipe=RECIPE)
    cost = fit_child(child, all_but_test(learned), seed=0)
    score = lm.training.child.score(child, learned.test)
    print(f"the encoder: {cost.flops:.3g} training FLOPs, {100 * score:.1f} % of {learned.way} classes", flush=True)
    assert isinstance(child.network, ChildNetwork)
    return Encoder("caltech80", Features(child.network), learned.shape)


def measure(data: Path, trained: Encoder, method: str, seed: int, flops: float) -> Row:
    encoders = {"encoder": [trained], "encoder and none": [trained, "none"], "none": []}[method]
    found = lm.auto(task(data, known=False, seed=seed), encoders=encoders, flops=flops, seed=seed, records=())
    print(method, seed, f"{100 * found.test_score:.1f} %", found.view, flush=True)
    return Row(method, seed, flops, found.test_score, found.encoding_cost.flops, found.view)


def table(rows: list[Row]) -> str:
    lines = ["| method | FLOPs | test accuracy, % | of seeds |", "|---|---|---|---|"]
    for method, flops in dict.fromkeys((row.method, row.flops) for row in rows):
        own = [100 * row.score for row in rows if (row.method, row.flops) == (method, flops)]
        each = " ".join(f"{score:.1f}" for score in own)
        lines.append(f"| {method} | {flops:g} | {sum(own) / len(own):.1f} | {each} |")
        scratch = {row.seed: row.score for row in rows if (row.method, row.flops) == ("none", flops)}
        gains = [
            100 * (row.score - scratch[row.seed])
            for row in rows
            if (row.method, row.flops) == (method, flops) and row.seed in scratch
        ]
        if method != "none" and gains:
            mean, low, high = mean_and_interval({"caltech": gains})
            lines.append(f"| {method}, above none | {flops:g} | {mean:+.1f} [{low:+.1f}, {high:+.1f}] | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--flops", type=float, default=2e11)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    rows = read_rows(given.results, Row)
    if given.data is not None:
        trained = encoder(given.data)
        rows = kept_rows(
            given.results,
            Row,
            product(METHODS, given.seeds, [given.flops]),
            lambda one: measure(given.data, trained, *one),
            key=lambda row: (row.method, row.seed, row.flops),
        )
    print(table(rows))


if __name__ == "__main__":
    main()
