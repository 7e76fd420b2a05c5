"""Searchers from scratch on real tasks under equal training FLOPs: which of them `search()` takes by default.

    python benchmarks/from_scratch.py --output benchmarks/results/from_scratch.json

Tasks are 8-way, of 14x14 glyphs of held-out scripts with 30 training images a class, in the space of layers with
choices of their own. The budget of each task is what first-order DARTS spends in 300 steps. Every choice is trained
alike, as `search()` does it. Finished searches are kept, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from optuna.samplers import TPESampler

import lit_metanas as lm
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware
from lit_metanas.records.statistics import t_interval
from lit_metanas.training.weight_sharing.darts_training import DARTSRates

SPACE = lm.LayeredSpace()
FIRST = "DARTS, benchmark's rates"


def darts(weights: float, logits: float) -> Callable[[], lm.Searcher]:
    """First-order DARTS of 300 steps: 3 minibatches an epoch."""
    return lambda: lm.DARTSSearcher(rates=DARTSRates(weights=weights, logits=logits), epochs=100)


def brief(task: lm.Task, space: lm.SearchSpace, seed: int) -> lm.estimators.TrainingEstimator:
    """A third of a full training."""
    return lm.estimators.TrainingEstimator(task, space, seed, lm.Recipe(epochs=10))


METHODS: dict[str, tuple[Callable[[], lm.Searcher], float]] = {
    FIRST: (darts(0.1, 0.1), 1.0),
    "DARTS, its paper's rate of logits": (darts(0.1, 0.003), 1.0),
    "random": (lm.RandomArchitecture, 1.0),
    "TPE": (lambda: lm.searchers.QuerySearcher(sampler=TPESampler(), estimator=brief), 1.0),
    "Gaussian process": (
        lambda: lm.searchers.QuerySearcher(sampler=lm.searchers.MetaSampler(space=SPACE), estimator=brief),
        1.0,
    ),
    "successive halving": (lambda: lm.searchers.SuccessiveHalving(candidates=8), 1.0),
    "successive halving, half the budget": (lambda: lm.searchers.SuccessiveHalving(candidates=8), 0.5),
    "evolving halving": (
        lambda: lm.searchers.EvolvingHalving(candidates=(6, 4, 4), rungs=(0.33, 0.33, 0.33), finish=False),
        1.0,
    ),
}
"""Searchers, and the share of the budget that they get."""


def draw(index: int) -> lm.Task:
    """One held-out task, its images halved."""
    task = lm.draw_task(lm.Glyphs(), index=index, way=8, train=30, val=15, test=60)
    assert task.val is not None
    train, val, test = (lm.Split(F.avg_pool2d(one.inputs, 2), one.labels) for one in (task.train, task.val, task.test))
    return replace(task, train=train, val=val, test=test)


def main(args: list[str] | None = None) -> None:
    """Search what the file does not hold yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("from_scratch.json"))
    parser.add_argument("--tasks", type=int, default=6)
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = json.loads(options.output.read_text())["rows"] if options.output.is_file() else []
    for index in range(options.tasks):
        task = draw(index)
        for name, (make, share) in METHODS.items():
            own = {row["method"]: row for row in rows if row["task"] == index}
            if name in own:
                continue
            flops = None if name == FIRST else share * own[FIRST]["flops"]
            found = lm.search(task, SPACE, method=make(), flops=flops, seed=index)
            cost = found.cost
            row = {"task": index, "method": name, "test": found.test_accuracy, "flops": cost.flops}
            rows.append({**row, "queries": cost.queries, "seconds": round(cost.seconds, 1)})
            write_whole(options.output, json.dumps({"hardware": hardware(), "rows": rows}, indent=1) + "\n")
    print(table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """Mean test accuracy, and the paired difference from successive halving with its 95 % interval."""
    scores = {name: [row["test"] for row in rows if row["method"] == name] for name in METHODS}
    lines = ["| searcher | test accuracy, % | less than successive halving |", "|---|---:|---:|"]
    for name, values in scores.items():
        pairs = list(zip(scores["successive halving"], values, strict=False))
        less = t_interval([100 * (best - value) for best, value in pairs])
        lines.append(f"| {name} | {100 * statistics.fmean(values):.1f} | {less.mean:+.1f} ± {less.half:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
