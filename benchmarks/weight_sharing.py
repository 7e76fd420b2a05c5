"""Weight-sharing searches of target tasks under one budget: accuracy, cost, and how the choice was spoiled or not.

    python benchmarks/weight_sharing.py --omniglot omniglot.npz --output benchmarks/results/weight_sharing.json

DARTS, DARTS-, GDAS, ENAS, single-path one-shot, a random architecture a task and a fixed one search glyphs and Omniglot
in the layered space and in small networks of DARTS's cells. Each choice is trained anew by one recipe, so that its
accuracy is the architecture's. Searches are kept as they finish, so that an interrupted run goes on; --report prints
the table of what there is.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from oracle import ranking
from sharing_blocks import BLOCKS, FREE, Block, draw, searchers

from lit_metanas.io import tune_allocator
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware
from lit_metanas.records import Budget
from lit_metanas.records.statistics import t_interval
from lit_metanas.relaxations import SampledChild
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import Architecture, DARTSCell, SearchSpace
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks import Task
from lit_metanas.training import Child, DARTSTraining, Recipe
from lit_metanas.training.child import fit_child, judge, score

HERE = Path(__file__).parent
Row = dict[str, Any]


class RelaxedAccuracy(Callback):
    """Validation accuracy of the whole mixture at the end of a search.

    Attributes:
        value: of the last search.
    """

    def __init__(self) -> None:
        self.value = math.nan

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate with the train part's batch statistics, as the chosen architecture is."""
        assert isinstance(pl_module, DARTSTraining)
        module, supernet = pl_module, pl_module.supernet
        mixture = module.relaxation(module.logits.tree(), module.draw_noise(1).relaxation, 1.0)
        own = dict(supernet.named_parameters())
        statistics = embed_and_record(supernet, own, mixture, module.task.train.inputs)[1]
        _, judged = judge(
            lambda inputs: supernet.scores(module.outputs, inputs, mixture, None, statistics),
            module.val,
            module.task.goal,
        )
        self.value = judged.value


def train(space: SearchSpace, architecture: Architecture, task: Task, recipe: Recipe, seed: int) -> float:
    """Test accuracy of a child that is trained anew."""
    torch.manual_seed(seed)
    child = Child(space=space, architecture=architecture, shape=task.shape, way=task.way, recipe=recipe)
    fit_child(child, task.train, seed=seed)
    return score(child, task.test)


def shares(space: SearchSpace, architecture: Architecture) -> dict[str, float]:
    """Shares of skips, and of all operations without parameters, among the edges that the normal cell keeps."""
    if not isinstance(space, DARTSCell):
        return {}
    labels = [label for name, label in architecture.items() if name.startswith("normal.edge")]
    free = sum(label in FREE for label in labels) / len(labels)
    return {"skips": labels.count("skip_connect") / len(labels), "free": free}


def search(block: Block, method: str, task: Task, *, seed: int, flops: float) -> Row:
    """One search: what it chose, its cost, and how well the choice does with the search's weights."""
    searcher, relaxed = searchers(block)[method], RelaxedAccuracy()
    if isinstance(searcher, DARTSSearcher) and not isinstance(searcher.relaxation, SampledChild):
        searcher.callbacks = (relaxed,)
    budget, start = Budget(flops=flops), time.perf_counter()
    found = searcher.search(task, block.space, budget, seed)
    seconds = time.perf_counter() - start
    own = [trial.value for trial in found.record.trials if trial.architecture == found.architecture]
    size = block.space.cost(found.architecture, task.shape, task.way)
    return {
        "architecture": found.architecture.to_json(),
        "flops": budget.spent.flops,
        "seconds": round(seconds, 2),
        "parameters": size.parameters,
        "relaxed": None if math.isnan(relaxed.value) else relaxed.value,
        "one_hot": None if math.isnan(own[-1]) else own[-1],
        **shares(block.space, found.architecture),
    }


@cache
def oracle_accuracies(path: Path) -> dict[tuple[str, Architecture], float]:
    """Test accuracy by task and architecture."""
    rows = json.loads(path.read_text())["rows"]
    return {(row["task"], Architecture(row["architecture"])): row["test"] for row in rows}


def known(rows: Iterable[Row], row: Row) -> float | None:
    """Test accuracy of the same child on the same task, where another method chose it."""
    keys = ("block", "task", "seed", "architecture")
    return next((one["test"] for one in rows if all(one[key] == row[key] for key in keys)), None)


def run_all(options: argparse.Namespace) -> None:
    """Search what the file does not hold yet: of each block all methods and tasks under one seed, then the next."""
    rows = read(options.output)
    for name in options.blocks:
        block = BLOCKS[name]
        flops = block.flops * options.scale
        for seed in range(options.seeds):
            for index in range(options.tasks):
                task = draw(block, index, options.omniglot)
                for method in searchers(block):
                    key = {"block": name, "method": method, "task": task.id, "seed": seed, "budget": flops}
                    if any(all(row[part] == value for part, value in key.items()) for row in rows):
                        continue
                    row = {**key, **search(block, method, task, seed=seed, flops=flops)}
                    architecture = Architecture(row["architecture"])
                    test = known(rows, row)
                    if block.oracle:
                        test = oracle_accuracies(options.oracle)[task.id, architecture]
                    if test is None:
                        test = train(block.space, architecture, task, block.recipe, seed)
                    rows.append({**row, "test": test})
                    write(options.output, rows)
                    print(f"{name}, seed {seed}, {task.id}, {method}: {test:.3f}, {row['seconds']} s", flush=True)


def read(path: Path) -> list[Row]:
    """The rows that are there."""
    rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def write(path: Path, rows: list[Row]) -> None:
    """Keep the rows, one a line."""
    text = ",\n".join(json.dumps(row) for row in rows)
    write_whole(path, f'{{"schema": 1, "hardware": {json.dumps(hardware())}, "rows": [\n{text}\n]}}\n')


def report(rows: list[Row], oracle: Path) -> str:
    """A table in Markdown: a line for each block and method."""
    lines = [
        "| tasks, space | method | test accuracy | median rank, regret | relaxed, one-hot | skips, free "
        "| parameters | search FLOPs | seconds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    table = ranking(oracle)
    ranks = {architecture: rank for rank, (architecture, _) in enumerate(table, start=1)}
    for name, block in BLOCKS.items():
        for method in searchers(block):
            own = [row for row in rows if row["block"] == name and row["method"] == method]
            if own:
                lines.append(line(name, method, own, dict(table) if block.oracle else {}, ranks))
    return "\n".join(lines)


def line(
    name: str, method: str, rows: list[Row], scores: Mapping[Architecture, float], ranks: Mapping[Architecture, int]
) -> str:
    """One line of the table: the interval is over seeds, each the mean over its tasks."""
    seeds = sorted({row["seed"] for row in rows})
    means = [statistics.mean(row["test"] for row in rows if row["seed"] == seed) for seed in seeds]
    value = t_interval(means)
    test = f"{100 * value.mean:.1f} ± {100 * value.half:.1f}"
    rank = "–"
    if scores:
        chosen = [Architecture(row["architecture"]) for row in rows]
        regret = 100 * statistics.mean(max(scores.values()) - scores[one] for one in chosen)
        rank = f"{statistics.median(ranks[one] for one in chosen):g} of {len(ranks)}, {regret:.1f}"
    parts = [
        test,
        rank,
        pair(rows, "relaxed", "one_hot"),
        pair(rows, "skips", "free"),
        f"{statistics.mean(row['parameters'] for row in rows):,.0f}",
        f"{statistics.mean(row['flops'] for row in rows) / 1e9:.0f} G",
        f"{statistics.mean(row['seconds'] for row in rows):.0f}",
    ]
    return f"| {name} | {method} | " + " | ".join(parts) + " |"


def pair(rows: list[Row], first: str, second: str) -> str:
    """The means of two shares in per cent."""
    return ", ".join(percent([row.get(key) for row in rows]) for key in (first, second))


def percent(values: list[float | None]) -> str:
    """The mean in per cent, or a dash where there is none."""
    kept = [value for value in values if value is not None]
    return f"{100 * statistics.mean(kept):.1f}" if kept else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "weight_sharing.json")
    parser.add_argument("--oracle", type=Path, default=HERE / "oracle_glyphs.json")
    parser.add_argument("--omniglot", type=Path, default=Path("data"), help="torchvision's folder, or a compact .npz")
    parser.add_argument("--blocks", nargs="+", choices=list(BLOCKS), default=list(BLOCKS))
    parser.add_argument("--tasks", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of all budgets")
    parser.add_argument("--report", action="store_true", help="only print the table of what was run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    if not options.report:
        run_all(options)
    print(report(read(options.output), options.oracle))


if __name__ == "__main__":
    main()
