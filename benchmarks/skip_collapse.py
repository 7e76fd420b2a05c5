"""DARTS's collapse to skips on glyphs, and its mends: the share of skips over searches that are long for their data.

    python benchmarks/skip_collapse.py --output benchmarks/results/skip_collapse.json --figure skip_collapse.png

Spaces in which plain DARTS is known to collapse on CIFAR-10: S2 and S3 of Zela et al. (2020), that is skip or separable
convolution on each edge of DARTS's cells, S3 with ``none``; and NAS-Bench-201. A search passes 80 times over ten images
a class. Plain DARTS and DARTS- (an auxiliary skip that fades) search alike; early stopping is what plain DARTS has
derived before more than half of the edges first are skips, as the callback ``SkipStop`` finds. What was derived on the
way is then trained anew on fifty images a class. Searches are kept as they finish, so that an interrupted run goes on;
--report prints what there is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from sharing_blocks import Block, cells, draw
from weight_sharing import HERE, RelaxedAccuracy, Row, read, train, write

from lit_metanas.io import tune_allocator
from lit_metanas.records import Budget
from lit_metanas.relaxations import AuxiliarySkip, Softmax
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import Architecture, NASBench201, SearchSpace
from lit_metanas.tasks import Task
from lit_metanas.training import DARTSTraining, Recipe
from lit_metanas.training.weight_sharing.darts_training import DARTSRates

SOME = ("none", "skip_connect", "sep_conv_3x3")


@dataclass(frozen=True)
class Condition:
    """A space in which searches are watched.

    Attributes:
        space: what is searched.
        cell: with what the names of the edges that are counted begin.
        none: whether ``none`` takes part in the search.
    """

    space: SearchSpace
    cell: str = ""
    none: bool = True

    @property
    def edges(self) -> dict[str, int]:
        """The counted choices that could be a skip, and the place of that label."""
        counted = [choice for choice in self.space.choices if choice.name.startswith(f"{self.cell}edge")]
        return {choice.name: choice.labels.index("skip_connect") for choice in counted}

    def skips(self, architecture: Architecture) -> float:
        """Share of skips among the counted edges that an architecture keeps."""
        labels = [label for name, label in architecture.items() if name in self.edges]
        return labels.count("skip_connect") / len(labels)


CONDITIONS = {
    "S2": Condition(cells(SOME, channels=8, cells=5), "normal.", none=False),
    "S3": Condition(cells(SOME, channels=8, cells=5), "normal."),
    "NAS-Bench-201": Condition(NASBench201(channels=8, cells=2, merge_isomorphs=False)),
}
BLOCK = Block(
    source="glyphs",
    space=CONDITIONS["S3"].space,
    flops=0.0,
    recipe=Recipe(epochs=8, inherit=False),
    examples=(10, 10, 100),
    batch_size=20,
    halved=True,
)
WHOLE = replace(BLOCK, examples=(50, 50, 100))
"""The same tasks with more images, on which children are trained."""
METHODS = ("DARTS", "DARTS-")
MOST = 0.5
"""Share of skips in the normal cell beyond which a search has collapsed, and before which one stops early."""


class WithoutNone(Callback):
    """Takes ``none`` out of a search: its gate is zero, and so is its logit's gradient."""

    @torch.no_grad()
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the logits far below the others."""
        assert isinstance(pl_module, DARTSTraining)
        logits = pl_module.logits
        for choice, row in zip(pl_module.space.choices, logits.values.split(logits.sizes), strict=True):
            if "none" in choice.labels:
                row[choice.labels.index("none")] = -50.0


class SkipCurve(Callback):
    """What a search is like at each validation.

    Attributes:
        points: step, derived architecture, its share of skips and validation accuracy, and the mean probability of a
            skip over the edges, of one search.
    """

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.points: list[Row] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look where the search has just validated."""
        assert isinstance(pl_module, DARTSTraining)
        if not pl_module.recorded:
            return
        trial, likely = pl_module.record.trials[-1], pl_module.probabilities()
        chances = [float(likely[name][place]) for name, place in self.condition.edges.items()]
        self.points.append(
            {
                "step": pl_module.done,
                "skips": self.condition.skips(trial.architecture),
                "probability": round(mean(chances), 4),
                "val": trial.value,
                "architecture": trial.architecture.to_json(),
            }
        )


def stopped(points: list[Row]) -> int:
    """Place of the last point before the cell again has more skips than it may; the last where it never has."""
    fewer = [point["skips"] <= MOST for point in points]
    ends = [place for place in range(1, len(points)) if fewer[place - 1] and not fewer[place]]
    return ends[0] - 1 if ends else len(points) - 1


def run_all(options: argparse.Namespace) -> None:
    """Search what the file does not hold yet; seed ``i`` on task ``i``."""
    rows = read(options.output)
    for name in options.spaces:
        for seed in range(options.seeds):
            task = draw(BLOCK, seed, Path())
            for method in options.methods:
                key = {"space": name, "method": method, "task": task.id, "seed": seed, "epochs": options.epochs}
                if not any(all(row[part] == value for part, value in key.items()) for row in rows):
                    rows.append({**key, **search(CONDITIONS[name], method, task, seed, options.epochs)})
                    write(options.output, rows)
                    last = rows[-1]["curve"][-1]
                    print(f"{name}, seed {seed}, {method}: {last['skips']:.2f}, {rows[-1]['seconds']} s", flush=True)


def search(condition: Condition, method: str, task: Task, seed: int, epochs: int) -> Row:
    """One long search."""
    curve, relaxed, budget, start = SkipCurve(condition), RelaxedAccuracy(), Budget(), time.perf_counter()
    callbacks = [curve, relaxed] if condition.none else [WithoutNone(), curve, relaxed]
    searcher = DARTSSearcher(
        relaxation=AuxiliarySkip(space=condition.space) if method == "DARTS-" else Softmax(),
        rates=DARTSRates(weights=0.1, logits=0.03, logits_decay=1e-3 if condition.none else 0.0),
        epochs=epochs,
        batch_size=BLOCK.batch_size,
        callbacks=callbacks,
    )
    searcher.search(task, condition.space, budget, seed)
    seconds = round(time.perf_counter() - start, 1)
    return {"flops": budget.spent.flops, "seconds": seconds, "relaxed": relaxed.value, "curve": curve.points}


def evaluate(path: Path) -> None:
    """Train what each search had derived after its thirds and where it would have stopped, if that is not known yet."""
    rows = read(path)
    for row in rows:
        task, points = draw(WHOLE, row["seed"], Path()), row["curve"]
        known: dict[Architecture, float] = {}
        for place in sorted({*thirds(points), stopped(points)}):
            point = points[place]
            architecture = Architecture(point["architecture"])
            if "test" not in point:
                value = known.get(architecture)
                if value is None:
                    value = train(CONDITIONS[row["space"]].space, architecture, task, WHOLE.recipe, row["seed"])
                point["test"] = value
                write(path, rows)
                print(
                    f"{row['space']}, seed {row['seed']}, {row['method']}, step {point['step']}: {value:.3f}",
                    flush=True,
                )
            known[architecture] = point["test"]


def thirds(points: list[Row]) -> list[int]:
    """Places of the points after a third, two thirds and all of a search."""
    return [part * (len(points) - 1) // 3 for part in (1, 2, 3)]


def report(rows: list[Row]) -> str:
    """A table in Markdown: means over seeds."""
    lines = [
        "| space | search | skips at 1/3, 2/3, the end | validation, relaxed and one-hot | test accuracy |",
        "|---|---|---:|---:|---:|",
    ]
    for name in CONDITIONS:
        for method in METHODS:
            own = [row for row in rows if (row["space"], row["method"]) == (name, method)]
            if not own:
                continue
            parts = list(zip(*([row["curve"][place] for place in thirds(row["curve"])] for row in own), strict=True))
            skips = ", ".join(f"{100 * mean(point['skips'] for point in part):.0f}" for part in parts)
            relaxed, one_hot = mean(row["relaxed"] for row in own), mean(point["val"] for point in parts[-1])
            gap = f"{100 * relaxed:.1f}, {100 * one_hot:.1f}"
            lines.append(f"| {name} | {method} | {skips} | {gap} | {tests(parts[-1])} |")
            if method == "DARTS":
                early = [row["curve"][stopped(row["curve"])] for row in own]
                steps = ", ".join(str(point["step"]) for point in early)
                share = 100 * mean(point["skips"] for point in early)
                lines.append(f"| {name} | DARTS, stopped at steps {steps} | {share:.0f} | – | {tests(early)} |")
    return "\n".join(lines)


def tests(points: Sequence[Row]) -> str:
    """Test accuracy, the mean and each seed's; of those that were trained."""
    values = [100 * point["test"] for point in points if "test" in point]
    if not values:
        return "–"
    return f"{mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def draw_figure(rows: list[Row], path: Path) -> None:
    """Share of skips over the steps: thin a seed, thick their mean; dashed the mean probability of a skip."""
    names = [name for name in CONDITIONS if any(row["space"] == name for row in rows)]
    figure = Figure(figsize=(4 * len(names), 3.4), layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1)
        for method, colour in zip(METHODS, ("tab:red", "tab:blue"), strict=True):
            curves = [row["curve"] for row in rows if (row["space"], row["method"]) == (name, method)]
            if not curves:
                continue
            steps = [point["step"] for point in curves[0]]
            for curve in curves:
                axes.plot(steps, [point["skips"] for point in curve], color=colour, linewidth=0.6, alpha=0.5)
            for key, style, what in (("skips", "-", "derived"), ("probability", "--", "probability")):
                means = [mean(points) for points in zip(*([p[key] for p in curve] for curve in curves), strict=True)]
                axes.plot(steps, means, style, color=colour, label=f"{method}, {what}")
        axes.set(title=name, xlabel="steps of the search", ylabel="share of skips", ylim=(0, 1))
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "skip_collapse.json")
    parser.add_argument("--figure", type=Path, help="where the curves are drawn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=80, help="of each search, 5 steps each")
    parser.add_argument("--spaces", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
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
