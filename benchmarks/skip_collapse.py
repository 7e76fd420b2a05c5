"""DARTS's collapse to skips on glyphs, and its mends: the share of skips in the normal cell over a long search.

    python benchmarks/skip_collapse.py --output benchmarks/results/skip_collapse.json --figure skip_collapse.png

The space is S3 of Zela et al. (2020): ``none``, skip or separable convolution on each edge, five cells. The search is
long for its data: 80 passes over ten images a class. Plain DARTS and DARTS- (an auxiliary skip that fades) search
alike; early stopping is what plain DARTS has derived before its normal cell first has more skips than half of its
edges, as the callback ``SkipStop`` finds. What was derived on the way is then trained anew on fifty images a class.
Searches are kept as they finish, so that an interrupted run goes on; --report prints what there is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from sharing_blocks import Block, cells, draw
from weight_sharing import HERE, RelaxedAccuracy, Row, read, shares, train, write

from lit_metanas.allocator import tune_allocator
from lit_metanas.modules.recipe import Recipe
from lit_metanas.modules.weight_sharing import Rates, WeightSharing
from lit_metanas.records import Budget
from lit_metanas.relaxations import AuxiliarySkip, Softmax
from lit_metanas.searchers import WeightSharingSearcher
from lit_metanas.spaces import Architecture

SPACE = cells(("none", "skip_connect", "sep_conv_3x3"), channels=8, cells=5)
BLOCK = Block(
    source="glyphs",
    space=SPACE,
    flops=0.0,
    recipe=Recipe(epochs=8, inherit=False),
    examples=(10, 10, 100),
    batch_size=20,
    halved=True,
)
WHOLE = replace(BLOCK, examples=(50, 50, 100))
"""The same tasks with more images, on which children are trained."""
METHODS = {"DARTS": Softmax(), "DARTS-": AuxiliarySkip(space=SPACE)}
MOST = 0.5
"""Share of skips in the normal cell beyond which a search has collapsed, and before which one stops early."""


class SkipCurve(Callback):
    """What the normal cell is like at each validation.

    Attributes:
        points: step, derived architecture, its share of skips and validation accuracy, and the mean probability of a
            skip over the edges, of one search.
    """

    def __init__(self) -> None:
        self.points: list[Row] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look where the search has just validated."""
        assert isinstance(pl_module, WeightSharing)
        module = pl_module
        if module.done % module.validate_every:
            return
        trial = module.record.trials[-1]
        edges = {choice.name: choice.labels.index("skip_connect") for choice in SPACE.weighed}
        likely = module.probabilities()
        normal = [float(likely[name][index]) for name, index in edges.items() if name.startswith("normal.")]
        self.points.append(
            {
                "step": module.done,
                "skips": shares(SPACE, trial.architecture)["skips"],
                "probability": round(mean(normal), 4),
                "val": trial.value,
                "architecture": trial.architecture.to_json(),
            }
        )


def stopped(points: list[Row]) -> int:
    """Place of the last point before the normal cell has more skips than it may; the first where none is before."""
    beyond = [place for place, point in enumerate(points) if point["skips"] > MOST]
    return max(0, beyond[0] - 1) if beyond else len(points) - 1


def run_all(options: argparse.Namespace) -> None:
    """Search what the file does not hold yet; seed ``i`` on task ``i``."""
    rows = read(options.output)
    for seed in range(options.seeds):
        task = draw(BLOCK, seed, Path())
        for method, relaxation in METHODS.items():
            key = {"method": method, "task": task.id, "seed": seed, "epochs": options.epochs}
            if any(all(row[part] == value for part, value in key.items()) for row in rows):
                continue
            curve, relaxed, budget, start = SkipCurve(), RelaxedAccuracy(), Budget(), time.perf_counter()
            searcher = WeightSharingSearcher(
                relaxation=relaxation,
                rates=Rates(weights=0.1, logits=0.03),
                epochs=options.epochs,
                batch_size=BLOCK.batch_size,
                callbacks=(curve, relaxed),
            )
            searcher.search(task, SPACE, budget, seed)
            seconds = round(time.perf_counter() - start, 1)
            row = {**key, "flops": budget.spent.flops, "seconds": seconds, "relaxed": relaxed.value}
            rows.append({**row, "curve": curve.points})
            write(options.output, rows)
            print(f"seed {seed}, {method}: {[point['skips'] for point in curve.points]}, {seconds} s", flush=True)


def evaluate(path: Path) -> None:
    """Train what each search had derived after its thirds and where it would have stopped, if that is not known yet."""
    rows = read(path)
    for row in rows:
        task, points = draw(WHOLE, int(row["task"].rpartition("/")[2]), Path()), row["curve"]
        known: dict[Architecture, float] = {}
        for place in sorted({*thirds(points), stopped(points)}):
            point = points[place]
            architecture = Architecture(point["architecture"])
            if "test" not in point:
                value = known.get(architecture)
                if value is None:
                    value = train(SPACE, architecture, task, WHOLE.recipe, row["seed"])
                point["test"] = value
                write(path, rows)
                print(f"seed {row['seed']}, {row['method']}, step {point['step']}: {value:.3f}", flush=True)
            known[architecture] = point["test"]


def thirds(points: list[Row]) -> list[int]:
    """Places of the points after a third, two thirds and all of a search."""
    return [part * (len(points) - 1) // 3 for part in (1, 2, 3)]


def report(rows: list[Row]) -> str:
    """A table in Markdown: means over seeds."""
    lines = [
        "| search | skips in the normal cell at 1/3, 2/3, the end | validation, relaxed and one-hot | test accuracy |",
        "|---|---:|---:|---:|",
    ]
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        if own:
            parts = list(zip(*([row["curve"][place] for place in thirds(row["curve"])] for row in own), strict=True))
            skips = ", ".join(f"{100 * mean(point['skips'] for point in part):.0f}" for part in parts)
            relaxed, one_hot = mean(row["relaxed"] for row in own), mean(point["val"] for point in parts[-1])
            gap = f"{100 * relaxed:.1f}, {100 * one_hot:.1f}"
            lines.append(f"| {method} | {skips} | {gap} | {tests(parts[-1])} |")
    early = [row["curve"][stopped(row["curve"])] for row in rows if row["method"] == "DARTS"]
    if early:
        steps = ", ".join(str(point["step"]) for point in early)
        share = 100 * mean(point["skips"] for point in early)
        lines.append(f"| DARTS, stopped early (steps {steps}) | {share:.0f} | – | {tests(early)} |")
    return "\n".join(lines)


def tests(points: Sequence[Row]) -> str:
    """Test accuracy, the mean and each seed's."""
    values = [100 * point["test"] for point in points]
    return f"{mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def draw_figure(rows: list[Row], path: Path) -> None:
    """Share of skips over the steps: thin a seed, thick their mean; dashed the mean probability of a skip."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for method, colour in zip(METHODS, ("tab:red", "tab:blue"), strict=True):
        curves = [row["curve"] for row in rows if row["method"] == method]
        if not curves:
            continue
        steps = [point["step"] for point in curves[0]]
        for curve in curves:
            axes.plot(steps, [point["skips"] for point in curve], color=colour, linewidth=0.6, alpha=0.5)
        for key, style in (("skips", "-"), ("probability", "--")):
            means = [mean(points) for points in zip(*([p[key] for p in curve] for curve in curves), strict=True)]
            what = "derived" if key == "skips" else "mean probability"
            axes.plot(steps, means, style, color=colour, label=f"{method}, {what}")
    axes.set(xlabel="steps of the search", ylabel="skips in the normal cell", ylim=(0, 1))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "skip_collapse.json")
    parser.add_argument("--figure", type=Path, help="where the curves are drawn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=80, help="of each search, 5 steps each")
    parser.add_argument("--report", action="store_true", help="only print and draw what was run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    if not options.report:
        run_all(options)
        evaluate(options.output)
    rows = read(options.output)
    print(report(rows))
    if options.figure:
        draw_figure(rows, options.figure)


if __name__ == "__main__":
    main()
