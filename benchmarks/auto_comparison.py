"""``auto`` against its rivals on twelve real data sets, within 1, 3 and 10 minutes.

The rivals: random search and TPE over the same networks and recipes; the network that the field would take, trained by
a usual recipe; logistic regression on plain features; and two libraries that search for classifiers of rows, FLAML and
AutoGluon, on the same features. Auto-sklearn, a third one, does not install with Python 3.11: its last version, 0.15,
has to be compiled, and that fails. Test parts are fixed and read once a run, in the end. Of the package's records
those of a data set are left out where ``auto`` works on it.

Networks are given training FLOPs instead of minutes, the same for all methods, so that runs repeat on any machine:
those of so many minutes, at the pace at which ``auto`` trains the networks that it begins with.
``results/auto_comparison/flops.json`` keeps them, as one machine was measured. FLAML and AutoGluon are given the
minutes (without CatBoost, which FLAML does not stop in time). Random search and TPE spend half on the search, or (but
for tables) all but what 200 epochs take, as ``auto`` does for single networks. Each candidate is trained for as long as
its average one, at most 200 epochs, and what is left trains the best of them, at most 1,000 epochs, as with ``auto``.
The fixed network gets all, for 200 epochs at most. Logistic regression takes seconds, and has no budget.

The rivals lack some of what ``auto`` has. Random search and TPE have the usual preprocessing alone, no linear models,
no ensembles and no records of other data sets, but for the recipe and the number of steps. The augmentation of each of
their candidates is drawn at random and evenly, by a hash of network, recipe and seed: TPE does not model it, and so
cannot learn which one is better. So a lead over them is that of all these together, not of the search method alone.

    pip install flaml lightgbm xgboost-cpu fastai mlxtend autogluon.tabular
    python benchmarks/auto_comparison.py flops --data FOLDER
    python benchmarks/auto_comparison.py run --data FOLDER --minutes 1 3 --seeds 0 1
    python benchmarks/auto_comparison.py table

``run`` writes each result as a line when there is one, and a second call goes on. ``table`` writes the table and draws
the diagram of critical differences (Demšar 2006). What does not install is left out, and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from auto_records import records_without
from comparison_data import DATA_SETS, Data, features
from critical_difference import LEVEL, against, draw, ranks_of, wins_and_losses
from equal_flops import Labels, train_fixed
from mixed_tasks import Folders
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

import lit_metanas as lm
from lit_metanas.automl.data_kinds import DATA_KINDS, LEARNING_RATES, SMOOTHINGS, WEIGHT_DECAYS, kind_of
from lit_metanas.automl.given_data import read_given
from lit_metanas.automl.steps.auto_steps import AutoSteps
from lit_metanas.automl.steps.budget_planner import MOST_TRAINED
from lit_metanas.automl.steps.limits import NetworkLimits, Wishes
from lit_metanas.automl.steps.time_plan import LONGEST_TRAINING, SEARCH_SHARE, measure_pace, rungs_of, searched_share
from lit_metanas.automl.steps.views import Views
from lit_metanas.comparisons.single_task import all_but_test, result_of
from lit_metanas.io.files import write_whole
from lit_metanas.records.statistics import percent, t_interval
from lit_metanas.report.table_text import markdown_lines
from lit_metanas.searchers.mutation import complete
from lit_metanas.searchers.query.objectives import RecipeRange
from lit_metanas.training.child import chosen_child, fit_child, recipe_cost

RESULTS = Path(__file__).parent / "results" / "auto_comparison"
FILE, FLOPS, TABLE = "runs.jsonl", "flops.json", "table.md"
MINUTES = (1.0, 3.0, 10.0)
MEASURED_SECONDS = 4.0
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse strengths of logistic regression's penalty."""
COMPONENTS = 200
"""Of sparse features, for AutoGluon, which takes dense ones."""

FIXED: Mapping[str, Labels] = {
    "images": {
        "depth": "4", "width": "64", "kernel": "3", "activation": "ReLU", "pool": "max", "norm": "batch",
        "skip": "none", "dropout": "0", "readout": "flat", "rounding": "down",
    },
    "texts": {
        "depth": "1", "width": "64", "operation": "conv_5", "activation": "ReLU", "readout": "max", "skip": "none",
        "dropout": "0.2",
    },
    "sounds": {
        "depth": "3", "width": "64", "operation": "sep_conv_7", "activation": "ReLU", "pool": "avg", "readout": "mean",
        "skip": "residual", "dropout": "0",
    },
    "rows": {
        "depth": "2", "width": "128", "activation": "ReLU", "norm": "layer", "dropout": "0.2", "skip": "none",
    },
}  # fmt: skip
"""Four blocks of convolutions (Vinyals et al. 2016), one of texts with the maximum over words (Kim 2014), separable
ones with residual skips (Kim et al. 2021), and two hidden layers."""
FIXED_RECIPE = lm.Recipe(learning_rate=3e-3, weight_decay=1e-2, label_smoothing=0.1)
"""That of the fixed networks of ``real_texts.py`` and ``real_sounds.py``."""


@dataclass(frozen=True)
class Given:
    """What a method is given.

    Attributes:
        name: of the data set.
        kind: of its examples.
        source: see ``DataSet``.
        data: the data set.
        minutes: of the budget.
        flops: training FLOPs in their place.
        seed: of the method.
    """

    name: str
    kind: str
    source: str
    data: Data
    minutes: float
    flops: float
    seed: int

    @property
    def task(self) -> lm.Task:
        """The task that ``auto`` makes of the data."""
        return read_given(**self.data.given)

    @property
    def features(self) -> tuple[Any, Any]:
        """Plain features of the examples to learn from, and of those to test."""
        return features(self.kind, self.data.learned[0], self.data.tested[0])


@dataclass(frozen=True)
class Outcome:
    """What a method did.

    Attributes:
        test: accuracy on the test part, in %.
        flops: training FLOPs that were spent.
        note: what was chosen.
    """

    test: float
    flops: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        data: the data set's name.
        method: one of ``METHODS``.
        minutes: of the budget; 0 where there is none.
        seed: of the method.
        test: accuracy on the test part, in %.
        flops: training FLOPs that were spent, of networks.
        cpu: seconds of CPU time.
        wall: seconds.
        note: what was chosen.
    """

    data: str
    method: str
    minutes: float
    seed: int
    test: float
    flops: float
    cpu: float
    wall: float
    note: str


def by_auto(given: Given) -> Outcome:
    """``auto`` with the records of other data sets."""
    with TemporaryDirectory() as folder:
        path = f"{folder}/others.jsonl"
        lm.write_record_lines(path, records_without(given.source))
        found = lm.auto(**given.data.given, flops=given.flops, records=[path], seed=given.seed, progress=False)
    return of_network(found)


def of_network(found: lm.SearchResult) -> Outcome:
    """What is kept of a network."""
    spent = found.cost.flops + found.training_cost.flops
    labels = ", ".join(f"{choice} {label}" for choice, label in found.architecture.items())
    beside = "" if found.linear is None else " and a linear model"
    return Outcome(100 * found.test_accuracy, spent, f"{found.cost.queries} tried; {found.space}{beside}: {labels}")


def steps_of(
    task: lm.Task, source: str, *, views: Views | None = None, linear: lm.SearchSpace | None = None
) -> AutoSteps:
    """How ``auto`` begins on a task, with the records of other data sets than ``source``.

    Args:
        task: the data.
        source: of the task.
        views: the preprocessings to choose from; None is the usual one.
        linear: what linear models can be built; None looks at none.
    """
    views = views or Views(task, {}, lm.default_space(task.shape), NetworkLimits())
    with TemporaryDirectory() as folder:
        path = f"{folder}/others.jsonl"
        lm.write_record_lines(path, records_without(source))
        wishes = Wishes(None, None, seed=0, threads=1, progress=False, records=[path])
        return AutoSteps(views, kind_of(task), wishes, None, began=time.perf_counter(), linear=linear)


class Augmented(lm.TrainingEstimator):
    """Trains each candidate with an augmentation that is drawn for it."""

    @property
    def augmentations(self) -> list[Any]:
        """Those of ``auto``."""
        return list(DATA_KINDS[kind_of(self.task)].train["augmentation"])

    def drawn(self, architecture: lm.Architecture) -> str:
        """The same for the same architecture, recipe and seed."""
        told = json.dumps([self.seed, architecture.to_json(), asdict(self.recipe)], sort_keys=True)
        place = int(hashlib.sha256(told.encode()).hexdigest(), 16) % len(self.augmentations)
        return str(self.augmentations[place])

    def __call__(
        self, architecture: lm.Architecture, *, fidelity: float, start: dict[str, torch.Tensor] | None = None
    ) -> lm.Score:
        """Train and validate."""
        plain = lm.TrainingEstimator(
            self.task, self.space, self.seed, replace(self.recipe, augmentation=self.drawn(architecture))
        )
        return plain(architecture, fidelity=fidelity, start=start)


def by_sampler(sampler: Callable[[], BaseSampler], given: Given) -> Outcome:
    """A search from scratch over the networks and recipes of ``auto``, and the training of what was best."""
    task = given.task
    steps = steps_of(task, given.source)
    space, part = steps.space, all_but_test(task)
    epoch = recipe_cost(space, steps.beginning.usual, task, part, steps.beginning.recipe, epochs=1).flops
    # On tables `auto` may begin with a network of next to no FLOPs: what 200 epochs of it take trains no other.
    search = SEARCH_SHARE * given.flops
    if given.kind != "rows":
        search = searched_share(given.flops, epoch=epoch, trial=steps.planner.trial, share=SEARCH_SHARE)
    candidate = search / sum(rungs_of(search, steps.planner.trial))
    epochs = min(LONGEST_TRAINING, max(1, round(candidate / steps.planner.epoch)))
    recipe = lm.Recipe(epochs=epochs, batch_size=steps.beginning.recipe.batch_size)
    searcher = lm.QuerySearcher(
        sampler=sampler(),
        estimator=partial(Augmented, recipe=recipe),
        train={
            "learning_rate": RecipeRange(LEARNING_RATES[0], LEARNING_RATES[-1], log=True),
            "weight_decay": RecipeRange(WEIGHT_DECAYS[0], WEIGHT_DECAYS[-1], log=True),
            "label_smoothing": RecipeRange(SMOOTHINGS[0], SMOOTHINGS[-1]),
        },
    )
    budget = lm.Budget(flops=search)
    found = searcher.search(task, space, budget, given.seed)
    cost = recipe_cost(space, found.architecture, task, part, recipe, epochs=1).flops
    epochs = min(MOST_TRAINED * LONGEST_TRAINING, max(1, int((given.flops - budget.spent.flops) / cost)))
    chosen = recipe.replace(found.recipe)
    drawn = Augmented(task, space, given.seed, chosen).drawn(found.architecture)
    final = replace(chosen, epochs=epochs, augmentation=drawn)
    child = chosen_child(task, space, replace(found, weights=None), final, given.seed)
    spent = fit_child(child, part, seed=given.seed)
    more = {"cost": budget.spent, "training_cost": spent, "meta_cost": lm.Cost()}
    return of_network(result_of(task, space, found, child, learned=len(part), **more))


def by_fixed(given: Given) -> Outcome:
    """The network that the field would take."""
    task = given.task
    space = lm.default_space(task.shape)
    labels = FIXED[given.kind]
    epoch = recipe_cost(space, complete(space, labels), task, all_but_test(task), FIXED_RECIPE, epochs=1).flops
    flops = min(given.flops, LONGEST_TRAINING * epoch)
    return of_network(train_fixed(task, space, labels, FIXED_RECIPE, flops, given.seed))


def by_logistic_regression(given: Given) -> Outcome:
    """Logistic regression, its penalty chosen by three folds, or by the examples that are there to choose by."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold

    learned, tested = given.features
    labels, chosen = given.data.learned[1], given.data.chosen_by
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    parts = PredefinedSplit(np.repeat([-1, 0], [len(labels) - chosen, chosen])) if chosen else folds
    model = GridSearchCV(LogisticRegression(max_iter=300), {"C": [*STRENGTHS]}, cv=parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weak penalties that need more iterations
        model.fit(learned, labels)
    return Outcome(accuracy(model.predict(tested), given), note=f"C {model.best_params_['C']:g}")


def accuracy(predictions: Any, given: Given) -> float:
    """In %, on the test part."""
    return 100 * float(np.mean(np.asarray(predictions).astype(str) == np.array(given.data.tested[1])))


def by_flaml(given: Given) -> Outcome:
    """FLAML (Wang et al. 2021), for so many minutes."""
    from flaml import AutoML

    learned, tested = given.features
    classes, labels = np.unique(given.data.learned[1], return_inverse=True)
    first = len(labels) - given.data.chosen_by
    own: dict[str, Any] = {"X_train": learned[:first], "y_train": labels[:first]}
    if given.data.chosen_by:
        own |= {"X_val": learned[first:], "y_val": labels[first:]}
    model = AutoML()
    model.fit(
        **own,
        task="classification",
        metric="accuracy",
        time_budget=60 * given.minutes,
        retrain_full=True,
        n_jobs=1,
        seed=given.seed,
        verbose=0,
    )
    return Outcome(accuracy(classes[model.predict(tested)], given), note=str(model.best_estimator))


def by_autogluon(given: Given) -> Outcome:
    """AutoGluon (Erickson et al. 2020), for so many minutes, with the models that are installed.

    It has its best settings: with the usual ones it ends after some seconds. Its models have seeds of their own, so
    other seeds would repeat it, but for what the clock decides.
    """
    from autogluon.tabular import TabularDataset, TabularPredictor
    from sklearn.decomposition import TruncatedSVD

    learned, tested = given.features
    if not isinstance(learned, np.ndarray):
        fewer = TruncatedSVD(COMPONENTS, random_state=0)
        learned, tested = fewer.fit_transform(learned), fewer.transform(tested)
    frames = [TabularDataset(part).rename(columns=str) for part in (learned, tested)]
    known, first = frames[0].assign(label=given.data.learned[1]), len(learned) - given.data.chosen_by
    with TemporaryDirectory() as folder:
        model = TabularPredictor("label", eval_metric="accuracy", path=folder, verbosity=0)
        model.fit(
            known[:first],
            tuning_data=known[first:] if given.data.chosen_by else None,
            use_bag_holdout=given.data.chosen_by > 0,
            presets="best_quality",
            time_limit=60 * given.minutes,
            num_cpus=1,
            num_gpus=0,
        )
        return Outcome(accuracy(model.predict(frames[1]), given), note=str(model.model_best))


METHODS: Mapping[str, Callable[[Given], Outcome]] = {
    "auto": by_auto,
    "random": partial(by_sampler, RandomSampler),
    "TPE": partial(by_sampler, partial(TPESampler, n_startup_trials=5)),
    "fixed network": by_fixed,
    "logistic regression": by_logistic_regression,
    "FLAML": by_flaml,
    "AutoGluon": by_autogluon,
}
NO_BUDGET = "logistic regression"


def write_flops(folders: Folders, path: Path, names: Sequence[str]) -> None:
    """How many training FLOPs are done in ``MINUTES`` on this machine, as ``auto`` measures it for each data set."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names:
        one = DATA_SETS[name]
        task = read_given(**one.read(folders).given)
        steps = steps_of(task, one.source)
        networks, recipe = steps.beginning.networks, steps.beginning.recipe
        found = measure_pace(task, steps.space, networks, recipe, seconds=MEASURED_SECONDS)
        pace = found.flops * found.waiting  # as if no other work were done on the machine
        known[name] = {f"{minutes:g}": float(f"{60 * minutes * pace:.3g}") for minutes in MINUTES}
        print(f"{name}: {pace:.3g} FLOPs a second", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def run(
    folders: Folders,
    results: Path,
    *,
    names: Sequence[str],
    methods: Sequence[str],
    minutes: Sequence[float],
    seeds: Sequence[int],
) -> None:
    """All runs that the file lacks, the shortest first."""
    flops = json.loads((results / FLOPS).read_text(encoding="utf-8"))
    kept = read(results / FILE)
    if (results / FILE).exists() and (results / FILE).read_bytes()[-1:] not in (b"", b"\n"):
        write_whole(results / FILE, "".join(json.dumps(asdict(row)) + "\n" for row in kept))  # without half a line
    done = {(row.data, row.method, row.minutes, row.seed) for row in kept}

    @cache
    def data(name: str) -> Data:
        return DATA_SETS[name].read(folders)

    for budget, seed, name, method in product(minutes, seeds, names, methods):
        key = (name, method, 0.0, 0) if method == NO_BUDGET else (name, method, budget, seed)
        if key in done:
            continue
        one, whole = DATA_SETS[name], flops[name]
        amount = whole[f"{budget:g}"] if f"{budget:g}" in whole else budget * whole["1"]
        try:
            given = Given(name, one.kind, one.source, data(name), budget, amount, key[3])
            begin, worked = time.perf_counter(), time.process_time()
            found = METHODS[method](given)
        except ImportError as error:
            print(f"{name}, {method}: left out, as {error}", flush=True)
            continue
        times = [round(now - then, 1) for now, then in ((time.process_time(), worked), (time.perf_counter(), begin))]
        row = Row(*key, round(found.test, 2), found.flops, *times, found.note)
        with (results / FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(row)) + "\n")
        done.add(key)
        print(f"{name}, {method}, {budget:g} min, seed {key[3]}: {row.test:.1f} %, {row.cpu:.0f} CPU s", flush=True)


def read(path: Path) -> list[Row]:
    """What was written; half a line of a stopped run is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [Row(**json.loads(line)) for line in lines if line.endswith("\n")]


def of_seeds(rows: Sequence[Row], minutes: float) -> dict[str, dict[str, dict[int, float]]]:
    """Accuracies by data set, method and seed; methods without a budget are there for all minutes."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row.minutes in (0, minutes):
            found.setdefault(row.data, {}).setdefault(row.method, {})[row.seed] = row.test
    return found


def scores(
    found: Mapping[str, Mapping[str, Mapping[int, float]]], methods: Sequence[str]
) -> tuple[list[str], dict[str, list[float]]]:
    """The data sets on which all of the methods were run, and each method's accuracies on them, means over seeds.

    Args:
        found: see ``of_seeds``.
        methods: the methods.
    """
    names = [name for name in DATA_SETS if all(method in found.get(name, {}) for method in methods)]
    return names, {method: [fmean(found[name][method].values()) for name in names] for method in methods}


def mean_over(runs: Sequence[Mapping[int, float]]) -> str:
    """The mean of data sets, and its 95 % interval over the seeds that all of them were run with, if several."""
    shared = set.intersection(*map(set, runs))
    mean = fmean(fmean(own.values()) for own in runs)
    half = t_interval([fmean(own[seed] for own in runs) for seed in shared]).half if shared else nan
    return percent(mean / 100, half / 100)


def tables(rows: Sequence[Row], results: Path, methods: Sequence[str]) -> Iterator[str]:
    """For each budget a table in Markdown, what the tests say, and the diagram, which is drawn beside it."""
    for minutes in sorted({row.minutes for row in rows if row.minutes}):
        own = [method for method in methods if any(r.method == method and r.minutes in (0, minutes) for r in rows)]
        runs = of_seeds(rows, minutes)
        names, values = scores(runs, own)
        if len(names) < 2 or len(own) < 2:
            continue
        ranks = ranks_of(values)
        seeds = sorted({row.seed for row in rows if row.minutes == minutes and row.method in own})
        yield f"## {minutes:g} min, {len(names)} data sets, means of seeds {', '.join(map(str, seeds))}\n"
        body: list[Sequence[str]] = [("data set", *own), ("---",) + ("---:",) * len(own)]
        for place, name in enumerate(names):
            best = percent(max(values[method][place] for method in own) / 100)
            told = (mean_over([runs[name][method]]) for method in own)
            body.append((name, *(f"**{one}**" if one.split()[0] == best else one for one in told)))
        body.append(("mean", *(mean_over([runs[name][method] for name in names]) for method in own)))
        body.append(("mean rank", *(f"{ranks.means[method]:.2f}" for method in own)))
        if own[0] == "auto":
            counts = ("–".join(map(str, wins_and_losses(values["auto"], values[other]))) for other in own[1:])
            body.append(("auto wins, ties and losses", "", *counts))
            chances = against(values, "auto")
            body.append(("Wilcoxon, Holm: p", "", *(f"{chances[other]:.3f}" for other in own[1:])))
        yield markdown_lines(body)
        yield (
            f"\nFriedman {ranks.statistic:.1f}, p = {ranks.chance:.2g}; Iman and Davenport "
            f"{ranks.less_conservative[0]:.1f}, p = {ranks.less_conservative[1]:.2g}; Nemenyi's critical difference at "
            f"{LEVEL:g}: {ranks.critical:.2f} ranks.\n"
        )
        draw(ranks, results / f"ranks_{minutes:g}.png", f"{minutes:g} min, {len(names)} data sets: mean ranks")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["flops", "run", "table"])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", choices=[*DATA_SETS], default=[*DATA_SETS])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--minutes", type=float, nargs="+", default=[*MINUTES])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of flops, runs and table")
    options = parser.parse_args(arguments)
    if options.step == "table":
        text = "\n".join(tables(read(options.results / FILE), options.results, options.methods))
        (options.results / TABLE).write_text(text + "\n", encoding="utf-8")
        print(text)
        return
    if options.data is None:
        parser.error("say by --data where the data sets are.")
    torch.set_num_threads(1)
    lm.tune_allocator()
    folders = Folders(options.data, Path())
    if options.step == "flops":
        write_flops(folders, options.results / FLOPS, options.sets)
    else:
        run(
            folders,
            options.results,
            names=options.sets,
            methods=options.methods,
            minutes=options.minutes,
            seeds=options.seeds,
        )


if __name__ == "__main__":
    main()
