"""The oracle: all 54 architectures of the shared layered space, trained on four held-out tasks.

With it every method's choice gets a rank (1 is best) and a regret (accuracy lost against the best), both by mean test
accuracy over the four tasks. Trainings are kept as they finish, so that an interrupted run goes on:

    python benchmarks/oracle.py --output benchmarks/oracle_glyphs.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import torch

from lit_metanas.io import tune_allocator
from lit_metanas.io.files import write_whole
from lit_metanas.spaces import Architecture, LayeredSpace
from lit_metanas.tasks import Glyphs, draw_task
from lit_metanas.training import Child, Recipe
from lit_metanas.training.child import fit_child, score

TASKS = 4
RECIPE = Recipe(epochs=10)


def architectures(space: LayeredSpace) -> list[Architecture]:
    """All architectures of a small space, in the order of its choices."""
    names = [choice.name for choice in space.choices]
    combinations = itertools.product(*(choice.labels for choice in space.choices))
    return list(dict.fromkeys(space.canonical(dict(zip(names, labels, strict=True))) for labels in combinations))


def train_all(output: Path, seed: int, tasks: list[int]) -> None:
    """Train what the file does not hold yet; rows: task, architecture, validation and test accuracy."""
    rows = json.loads(output.read_text())["rows"] if output.exists() else []
    done = {(row["task"], Architecture(row["architecture"])) for row in rows}
    source, space = Glyphs(), LayeredSpace(shared=True)
    source.prepare()
    for index in tasks:
        task = draw_task(source, "test", seed=seed, index=index, way=10, train=100, val=100, test=100)
        assert task.val is not None
        for architecture in architectures(space):
            if (task.id, architecture) in done:
                continue
            torch.manual_seed(seed)
            child = Child(space=space, architecture=architecture, shape=task.shape, way=task.way, recipe=RECIPE)
            start = time.perf_counter()
            fit_child(child, task.train, seed=seed)
            rows.append(
                {
                    "task": task.id,
                    "architecture": architecture.to_json(),
                    "val": score(child, task.val),
                    "test": score(child, task.test),
                    "seconds": round(time.perf_counter() - start, 2),
                }
            )
            write_whole(output, json.dumps({"schema": 1, "seed": seed, "rows": rows}, indent=1) + "\n")
            print(f"{len(rows)}/{len(tasks) * space.size} {task.id} {architecture}: {rows[-1]['test']:.3f}", flush=True)


def ranking(path: Path) -> list[tuple[Architecture, float]]:
    """Architectures with their mean test accuracy over the tasks, best first."""
    scores: dict[Architecture, list[float]] = {}
    for row in json.loads(path.read_text())["rows"]:
        scores.setdefault(Architecture(row["architecture"]), []).append(row["test"])
    means = {architecture: sum(values) / len(values) for architecture, values in scores.items()}
    return sorted(means.items(), key=lambda item: -item[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "oracle_glyphs.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", type=int, nargs="+", default=list(range(TASKS)), help="which target tasks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    train_all(options.output, options.seed, options.tasks)
    for rank, (architecture, mean) in enumerate(ranking(options.output), start=1):
        print(f"{rank:2d} {100 * mean:5.1f} % {architecture}")


if __name__ == "__main__":
    main()
