"""What each of the choices of ``auto`` adds: architecture, hyper-parameters, augmentation, preprocessing, and all.

Six data sets: photographs, digits, two of intents, spoken digits, and a table. All searches of one have the same
training FLOPs, begin with the same network, which is the best on average for the shipped records of other data sets,
and with the recipe that is the default, and know no records. They differ in what may change (``METHODS``).
*No search* trains that network for all of these FLOPs. The preprocessings are those that ``auto`` offers for such data;
for the digits, which are small and grey, there is only one, so that the last method is the one before. Searches are
written as they finish, one a line. Run:

    python benchmarks/auto_choices.py --data FOLDER
    python benchmarks/auto_choices.py

The second form makes the table of what was written. The folder is that of ``mixed_tasks.py``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TypeAlias
from unittest.mock import patch

import torch
from bootstrap import mean_and_interval
from data_files import clinc150
from kept_rows import kept_rows, read_rows
from mixed_tasks import WORDS, Folders, digits, divide, fsdd, small_photographs, snips_intents, task_of, text_task

import lit_metanas as lm
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.kinds.given_data import other_ways
from lit_metanas.kinds.kind import kind_of
from lit_metanas.records.record import PREPROCESSING
from lit_metanas.records.record_lines import SHIPPED
from lit_metanas.searchers.halving.proposals import covering
from lit_metanas.searchers.mutation import complete
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import recipe_cost

RESULTS = Path(__file__).parent / "results" / "auto_choices.jsonl"


@dataclass(frozen=True)
class Choices:
    """What a search may change.

    Attributes:
        architecture: whether it may.
        recipe: the fields of a recipe.
        preprocessing: whether it may.
    """

    architecture: bool
    recipe: tuple[str, ...]
    preprocessing: bool = False


HYPER_PARAMETERS = ("learning_rate", "weight_decay", "label_smoothing")
METHODS: Mapping[str, Choices] = {
    "no search": Choices(architecture=False, recipe=()),
    "architecture": Choices(architecture=True, recipe=()),
    "hyper-parameters": Choices(architecture=False, recipe=HYPER_PARAMETERS),
    "both": Choices(architecture=True, recipe=HYPER_PARAMETERS),
    "both and augmentation": Choices(architecture=True, recipe=(*HYPER_PARAMETERS, "augmentation")),
    "all": Choices(architecture=True, recipe=(*HYPER_PARAMETERS, "augmentation"), preprocessing=True),
    "hyper-parameters and batch size": Choices(architecture=False, recipe=(*HYPER_PARAMETERS, "batch_size")),
    "both and batch size": Choices(architecture=True, recipe=(*HYPER_PARAMETERS, "batch_size")),
}
BATCH_SIZES = (25, 50, 100)
"""Which ``auto`` does not choose from."""
REFERENCE = "both"
"""With which all others are compared."""


def photographs(folders: Folders) -> lm.Task:
    """Twenty classes of Caltech-101, every fifth."""
    return small_photographs(folders, "twenty", range(0, 100, 5))


def intents(folders: Folders, preprocessing: TextPreprocessing = WORDS) -> lm.Task:
    """Twenty intents of CLINC150, every seventh of all ten domains: 15, 8 and 30 of each."""
    found = clinc150(folders.data)
    names = sorted(found)[::7][:20]
    return text_task("clinc/twenty", {name: found[name] for name in names}, preprocessing, (15, 8, 30))


def tumours(folders: Folders, preprocessing: lm.kinds.Columns | None = None) -> lm.Task:
    """Two classes by thirty numbers, which scikit-learn ships: 60, 30 and 120 of each."""
    from sklearn.datasets import load_breast_cancer  # an extra, for this one task

    del folders
    found = load_breast_cancer()
    rows = divide(found.target.tolist(), (60, 30, 120))
    columns = (preprocessing or lm.kinds.Columns()).fitted(found.data[rows["train"]])
    return task_of("tumours/all", columns.encode(found.data), found.target.tolist(), rows, columns)


@dataclass(frozen=True)
class Setting:
    """A task of the comparison.

    Attributes:
        draw: makes it, of images as they are, else under a ``preprocessing``, by default the usual one.
        epochs: what each search and the training after it may spend, in passes over the data by the network that they
            begin with.
    """

    draw: Callable[..., lm.Task]
    epochs: int


Ways: TypeAlias = Mapping[str, Callable[[], lm.Task]]
"""What makes a task under each preprocessing, by its label, the usual one first; none where there is no other."""

TASKS: Mapping[str, Setting] = {
    "photographs": Setting(photographs, 200),
    "digits": Setting(digits, 400),
    "intents": Setting(intents, 150),
    "commands": Setting(snips_intents, 200),
    "spoken digits": Setting(partial(fsdd, turn=0), 400),
    "table": Setting(tumours, 1000),
}


@dataclass(frozen=True)
class Row:
    """One search and the training after it.

    Attributes:
        task: its name.
        method: one of ``METHODS``.
        seed: of the search and the training.
        test: accuracy on the test part, in %.
        search: FLOPs of the search.
        training: FLOPs of the chosen network's training.
        tried: trainings of the search.
        architecture: that was chosen.
        recipe: that was chosen, and the preprocessing where there were several.
        seconds: of CPU time.
    """

    task: str
    method: str
    seed: int
    test: float
    search: int
    training: int
    tried: int
    architecture: dict[str, str]
    recipe: dict[str, float | int | str | bool]
    seconds: float


def usual_network(task: lm.Task) -> Architecture:
    """What all searches of a task begin with."""
    space, dataset = lm.default_space(task.shape), task.id.split("/")[0]
    others = [record for record in lm.records.read_record_lines(SHIPPED) if record.task_id.split("/")[0] != dataset]
    best = covering(others, space, 1)
    return best[0].architecture if best else complete(space, dict(*kind_of(task).first[:1]))


def ways_of(task: lm.Task, draw: Callable[..., lm.Task]) -> Ways:
    """What makes the same task under each preprocessing that ``auto`` offers for networks of such data.

    Args:
        task: as usual.
        draw: makes it again under a ``preprocessing``, but for images.
    """
    kind = kind_of(task)
    if kind.name == "images":
        return other_ways((task.train.inputs, task.train.labels), task, kind=None, test=None, group=None)
    linear, offered = set(kind.linear_views.values()), kind.preprocessings(task, None)
    ways = {label: partial(draw, preprocessing=one) for label, one in offered.items() if label not in linear}
    return ways if len(ways) > 1 else {}


def search(name: str, task: lm.Task, method: str, seed: int, epochs: int, ways: Ways) -> Row:
    """One method on one task."""
    begin, choices, kind = time.process_time(), METHODS[method], kind_of(task)
    space, usual, recipe = lm.default_space(task.shape), usual_network(task), lm.Recipe(epochs=epochs)
    flops = recipe_cost(space, usual, task, all_but_test(task), recipe).flops
    if not choices.architecture:
        space = space.limited(lambda one: None if one == usual else "it is not the usual one")
    values = {**kind.recipes(task.goal), "batch_size": BATCH_SIZES}
    only = {field: values[field] for field in choices.recipe}
    alike = {"first": (usual,), "usual_recipe": lambda self, task: {}, "recipes": lambda self, objective: only}
    changed = patch.multiple(type(kind), **alike)
    offered = patch(
        "lit_metanas.automl.reading.read_job.other_ways", return_value=ways if choices.preprocessing else {}
    )
    with changed, offered:
        if choices == METHODS["no search"]:
            alone = lm.searchers.FixedArchitecture(usual)
            found = lm.search(task, space, method=alone, recipe=recipe, seed=seed, progress=False)
        else:
            found = lm.auto(task, flops=flops, space=space, records=(), seed=seed, progress=False)
    return Row(
        name,
        method,
        seed,
        round(100 * found.test_accuracy, 2),
        found.cost.flops,
        found.training_cost.flops,
        len(found.record.trials),
        found.architecture.to_json(),
        found.whole_recipe,
        round(time.process_time() - begin, 1),
    )


def measure(
    folders: Folders, path: Path, tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int], part: float
) -> list[Row]:
    """All searches, those among them that the file lacked, each for a part of the task's epochs."""
    drawn = {name: TASKS[name].draw(folders) for name in tasks}

    def measured(key: tuple[str, str, int]) -> Row:
        name, method, seed = key
        ways = ways_of(drawn[name], partial(TASKS[name].draw, folders))
        row = search(name, drawn[name], method, seed, max(2, round(part * TASKS[name].epochs)), ways)
        print(f"{name}, {method}, seed {seed}: {row.test} %, {row.tried} tried, {row.seconds} s", flush=True)
        return row

    wanted = [(name, method, seed) for seed, name, method in product(seeds, tasks, methods)]
    return kept_rows(path, Row, wanted, measured, key=lambda row: (row.task, row.method, row.seed))


def ahead(rows: Sequence[Row], method: str) -> tuple[int, float, float, float]:
    """Pairs of a method and the reference, their mean difference, and its 95 % interval.

    Tasks are drawn again, then the searches of each.
    """
    scores = {(row.task, row.method, row.seed): row.test for row in rows}
    groups: dict[str, list[float]] = {}
    for (task, name, seed), score in scores.items():
        if name == method and (task, REFERENCE, seed) in scores:
            groups.setdefault(task, []).append(score - scores[task, REFERENCE, seed])
    return sum(map(len, groups.values())), *mean_and_interval(groups)


def _chosen(rows: Sequence[Row], field: str) -> str:
    """What each search chose."""
    return f"; {field} {' / '.join(str(row.recipe.get(field, 'usual')) for row in rows)}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each task and method, and one for each method over all tasks."""
    for task, method in product(dict.fromkeys(row.task for row in rows), METHODS):
        own = [row for row in rows if (row.task, row.method) == (task, method)]
        if own:
            tests, tried = [row.test for row in own], fmean([row.tried for row in own])
            spent = fmean([row.search + row.training for row in own])
            fields = [field for field in ("augmentation", "batch_size") if field in METHODS[method].recipe]
            fields += [PREPROCESSING] * METHODS[method].preprocessing
            chosen = "".join(_chosen(own, field) for field in fields)
            yield f"{task:13} {method:31} {fmean(tests):.1f} %, {tried:.1f} tried, {spent:.3g} FLOPs{chosen}"
    for method in METHODS:
        if method != REFERENCE and {method, REFERENCE} <= {row.method for row in rows}:
            pairs, mean, low, high = ahead(rows, method)
            yield f"{method} against {REFERENCE}: {mean:+.2f} points ({low:+.2f} to {high:+.2f}), {pairs} pairs"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--tasks", nargs="+", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", type=float, default=1.0, help="of the epochs, for a trial")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the searches")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.data is not None:
        lm.io.tune_allocator()
        folders = Folders(options.data, Path())
        measure(folders, options.results, options.tasks, options.methods, options.seeds, options.part)
    print("\n".join(table(read_rows(options.results, Row))))


if __name__ == "__main__":
    main()
