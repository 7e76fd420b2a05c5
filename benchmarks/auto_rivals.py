"""``auto`` and its rivals, each as a method that is given a data set and a budget.

The rivals are random search and TPE over the same networks and recipes; the network that the field would take, trained
by a usual recipe; logistic regression on plain features; and two libraries that search for classifiers of rows, FLAML
and AutoGluon, on the same features. Auto-sklearn, a third one, does not install with Python 3.11: its last version,
0.15, has to be compiled, and that fails.

Random search and TPE spend half on the search, or (but for tables) all but what 200 epochs take, as ``auto`` does for
single networks. Each candidate is trained for as long as its average one, at most 200 epochs, and what is left trains
the best of them, at most 1,000 epochs, as with ``auto``. The fixed network gets all, for 200 epochs at most. Logistic
regression takes seconds, and has no budget. FLAML and AutoGluon are given the minutes (without CatBoost, which FLAML
does not stop in time).

The rivals lack some of what ``auto`` has. Random search and TPE have the usual preprocessing alone, no linear models,
no ensembles and no records of other data sets, but for the recipe and the number of steps. The augmentation of each of
their candidates is drawn at random and evenly, by a hash of network, recipe and seed: TPE does not model it, and so
cannot learn which one is better. So a lead over them is that of all these together, not of the search method alone.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from auto_records import file_without
from comparison_data import Data, features
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

import lit_metanas as lm
from lit_metanas.automl.budget_division import search_part
from lit_metanas.automl.budget_plan import SHARES
from lit_metanas.automl.job import Job
from lit_metanas.automl.options import AutoOptions
from lit_metanas.automl.search_setup import SearchSetup, set_up_search
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.estimators.input_variants import InputVariants
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces.choice_space import complete
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.training.child import chosen_child, fit_child, recipe_cost

Labels = Mapping[str, str]
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse strengths of logistic regression's penalty."""
COMPONENTS = 200
"""Of sparse features, for AutoGluon, which takes dense ones."""

FIXED: Mapping[str, Labels] = {
    "images": {
        "stem": "conv", "block": "conv", "stages": "4", "depth": "1", "width": "64", "growth": "1", "down": "max",
        "norm": "batch", "activation": "ReLU", "readout": "flat", "dropout": "0",
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


def by_auto(given: Given) -> Outcome:
    """``auto`` with the records of other data sets."""
    with file_without(given.source) as path:
        found = lm.auto(**given.data.given, flops=given.flops, records=[path], seed=given.seed, progress=False)
    return of_network(found)


def of_network(found: lm.SearchResult) -> Outcome:
    """What is kept of a network."""
    spent = found.cost.flops + found.training_cost.flops
    labels = ", ".join(f"{choice} {label}" for choice, label in found.architecture.items())
    linear = " and a linear model" * (found.linear is not None)
    return Outcome(100 * found.test_accuracy, spent, f"{found.cost.queries} tried; {found.space}{linear}: {labels}")


def setup_of(task: lm.Task, source: str) -> SearchSetup:
    """How ``auto`` begins on a task of a source, with the records of other data sets."""
    with file_without(source) as path:
        options = AutoOptions(task, records=[path], progress=False)
        variants = InputVariants(task, {}, lm.default_space(task.shape), options.limits)
        return set_up_search(
            Job(options, kind_of(task), variants, None, None, began=time.perf_counter(), read_seconds=0.0)
        )


class Augmented(lm.estimators.TrainingEstimator):
    """Trains each candidate with an augmentation that is drawn for it."""

    @property
    def augmentations(self) -> list[Any]:
        """Those of ``auto``."""
        return list(kind_of(self.task).searched_fields(self.task.goal)["augmentation"])

    def drawn(self, architecture: lm.Architecture) -> str:
        """The same for the same architecture, recipe and seed."""
        candidate = json.dumps([self.seed, architecture.to_json(), asdict(self.recipe)], sort_keys=True)
        place = int(hashlib.sha256(candidate.encode()).hexdigest(), 16) % len(self.augmentations)
        return str(self.augmentations[place])

    def __call__(
        self, architecture: lm.Architecture, *, fidelity: float, start: dict[str, torch.Tensor] | None = None
    ) -> lm.estimators.Score:
        """Train and validate."""
        plain = lm.estimators.TrainingEstimator(
            self.task, self.space, self.seed, replace(self.recipe, augmentation=self.drawn(architecture))
        )
        return plain(architecture, fidelity=fidelity, start=start)


def by_sampler(sampler: Callable[[], BaseSampler], given: Given) -> Outcome:
    """A search from scratch over the networks and recipes of ``auto``, and the training of what was best."""
    task = given.task
    setup = setup_of(task, given.source)
    part, space = all_but_test(task), setup.job.variants.space
    epoch = recipe_cost(space, setup.first[0].architecture, task, part, setup.recipe, epochs=1).flops
    # On tables `auto` may begin with a network of next to no FLOPs: what 200 epochs of it take trains no other.
    search, longest = SHARES.search * given.flops, SHARES.longest
    if given.kind != "rows":
        alone = replace(setup, member_epochs=0)  # rivals have no ensembles
        search = search_part(alone, given.flops, epoch=epoch, trial=setup.trial_flops, single=epoch)
    candidate = search / sum(SHARES.rungs(search, setup.trial_flops))
    epochs = min(longest, max(1, round(candidate / setup.epoch_flops)))
    recipe = lm.Recipe(epochs=epochs, batch_size=setup.recipe.batch_size)
    train = {
        "learning_rate": RecipeRange(3e-3, 3e-2, log=True),
        "weight_decay": RecipeRange(1e-3, 1e-1, log=True),
        "label_smoothing": RecipeRange(0.0, 0.1),
    }
    searcher = lm.searchers.QuerySearcher(sampler=sampler(), estimator=partial(Augmented, recipe=recipe), train=train)
    budget = lm.Budget(flops=search)
    found = searcher.search(task, space, budget, given.seed)
    cost = recipe_cost(space, found.architecture, task, part, recipe, epochs=1).flops
    epochs = min(SHARES.most_trained * longest, max(1, int((given.flops - budget.spent.flops) / cost)))
    chosen = recipe.replace(found.recipe)
    drawn = Augmented(task, space, given.seed, chosen).drawn(found.architecture)
    final = replace(chosen, epochs=epochs, augmentation=drawn)
    child = chosen_child(task, space, replace(found, weights=None), final, given.seed)
    spent = fit_child(child, part, seed=given.seed)
    more = {"cost": budget.spent, "training_cost": spent, "meta_cost": lm.Cost()}
    return of_network(result_of(task, space, found, child, learned=len(part), **more))


def by_fixed(given: Given) -> Outcome:
    """The network that the field would take, trained from scratch on train and val; half an epoch may be missing."""
    task, labels = given.task, FIXED[given.kind]
    space = lm.default_space(task.shape)
    epoch = recipe_cost(space, complete(space, labels), task, all_but_test(task), FIXED_RECIPE, epochs=1).flops
    recipe = replace(FIXED_RECIPE, epochs=min(SHARES.longest, max(1, round(given.flops / epoch))))
    method = lm.searchers.FixedArchitecture(labels)
    return of_network(lm.search(task, space, method=method, recipe=recipe, seed=given.seed, progress=False))


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
