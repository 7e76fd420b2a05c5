"""DARTS from scratch on the tasks of the mixed stream, in their space; what it finds is trained as the pool was.

A supernet cannot hold several widths at once, so all layers have the largest. Learning rate, weight decay and label
smoothing are no choices of a supernet: what is found is trained with those of the network that is best on the other
data sets, which is more than a search from scratch would know. Searches are kept as they finish, one a line:

    python benchmarks/mixed_darts.py --data FOLDER --series FOLDER

``search_cost.py`` compares them with the portfolio.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import ceil
from pathlib import Path

import torch
from mixed_pool import BATCH, RECIPE, RESULTS, SPACE, PairPool, parts_of, train
from mixed_stream import Stream, stream_of
from mixed_tasks import Folders

import lit_metanas as lm
from lit_metanas.training.child import images_an_epoch, training_cost

FILE = "darts.jsonl"
WIDTH = "32"
STEPS = 100
"""Of the search, each one of the weights and one of the logits."""
RATES = lm.DARTSRates(weights=0.1, logits=0.1)
"""The best of ``from_scratch.py``."""
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """One search, and the training of what it found.

    Attributes:
        task: its id.
        seed: of both.
        architecture: that was found, with the recipe.
        supernet: validation accuracy of the supernet under it.
        val: validation accuracy of the trained network.
        test: test accuracy of the same.
        search: FLOPs of the search.
        training: FLOPs of the network's training.
        seconds: of CPU time.
    """

    task: str
    seed: int
    architecture: dict[str, str]
    supernet: float
    val: float
    test: float
    search: int
    training: int
    seconds: float


def child_flops(
    pair: lm.Architecture, shape: lm.Shape, way: int, examples: int, steps: int, space: lm.SearchSpace = SPACE
) -> int:
    """FLOPs of a pair's training on so many examples."""
    architecture, recipe = parts_of(pair, examples, steps)
    images = images_an_epoch(examples, recipe.batch_size) * recipe.epochs
    return training_cost(space, architecture, shape, way, images=images).flops


def search(task: lm.Task, best: lm.Architecture, steps: int, child_steps: int, seed: int) -> Row:
    """Search with DARTS, and train what it found with the recipe of ``best``."""
    begin = time.process_time()
    epochs = ceil(steps / max(1, len(task.train) // BATCH))
    searcher = lm.DARTSSearcher(rates=RATES, epochs=epochs, batch_size=BATCH)
    budget = lm.Budget()
    found = searcher.search(task, SPACE.restricted({"width": WIDTH}), budget, seed)
    pair = lm.Architecture({**found.architecture, **{choice.name: best[choice.name] for choice in RECIPE}})
    trained = train(task, -1, pair, child_steps, seed)
    flops = child_flops(pair, task.shape, task.way, len(task.train), child_steps)
    seconds = round(time.process_time() - begin, 2)
    supernet = round(found.record.trials[-1].value, 4)
    return Row(task.id, seed, dict(pair), supernet, trained.val, trained.test, budget.spent.flops, flops, seconds)


def read(path: Path) -> list[Row]:
    """What was written; half a line of a stopped run is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [Row(**json.loads(line)) for line in lines if line.endswith("\n")]


def measure(
    stream: Stream,
    folders: Folders,
    path: Path,
    seeds: Iterable[int],
    steps: int,
    child_steps: int,
    tasks: Sequence[str] | None = None,
) -> None:
    """All searches of these tasks that the file lacks."""
    kept = read(path)
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in kept), encoding="utf-8")
    done = {(row.task, row.seed) for row in kept}
    for seed, problem in product(seeds, stream.problems):
        if (problem.id, seed) not in done and (tasks is None or problem.id in tasks):
            best = stream.pairs[stream.elsewhere(stream.problems.index(problem)).best()]
            row = search(problem.draw(folders), best, steps, child_steps, seed)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(row, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--series", type=Path, required=True, help="folder of the archives of series")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pool and the searches")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--tasks", nargs="+", help="ids; all, where none is given")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    pool = PairPool(options.results / "pool.jsonl")
    stream = stream_of(pool, {})
    folders = Folders(options.data, options.series)
    path = options.results / FILE
    measure(stream, folders, path, options.seeds, options.steps, pool.steps, options.tasks)


if __name__ == "__main__":
    main()
