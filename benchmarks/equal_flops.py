"""Searched networks against fixed ones that are trained by the same recipe for the same FLOPs, the search included."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from paired import SEARCHED, Paired, timed, write
from torch import Tensor

import lit_metanas as lm
from lit_metanas.searchers.mutation import complete
from lit_metanas.training.child import images_an_epoch, training_cost

FRESH = 1000
"""What is added to a seed for training episodes that its search has not seen."""

SCALED = lm.MetaRecipe(learning_rate=3e-3, weight_decay=1e-2, distance="scaled")

Labels = Mapping[str, str]
Cheap = Mapping[str, Sequence[float]]
"""Accuracies of baselines in per cent, one a seed, or a single one where no seed matters."""


@dataclass(frozen=True)
class Given:
    """What the command line says.

    Attributes:
        data: folder of the data sets.
        seeds: one network each.
        scale: share of the usual FLOPs and epochs.
    """

    data: Path
    seeds: Sequence[int] = (0,)
    scale: float = 1.0

    def file(self, name: str) -> Path:
        """One of the folder's files."""
        if not (self.data / name).is_file():
            raise FileNotFoundError(f"There is no file {self.data / name}")
        return self.data / name


@dataclass(frozen=True)
class Run:
    """One network of one seed.

    Attributes:
        architecture: its labels.
        flops: training FLOPs, of the search, too.
        scores: accuracy in per cent, by the name of the test.
    """

    architecture: lm.Architecture
    flops: float
    scores: Mapping[str, float]


@dataclass(frozen=True)
class FewShot:
    """Prototypes of a meta-trained network, on episodes of classes that it has not seen.

    Candidates are compared by meta-validation episodes. The winner's training goes on with the weights that the search
    leaves and the rest of the budget, on episodes of another seed, as those of the search were seen in each of its
    rungs. Test episodes are looked at once, in the end.

    Attributes:
        data: the episodes to train on and to choose by, of a seed.
        tests: episodes to report on, by name.
        space: what is searched.
        fixed: networks that are not searched, by name; open choices take the first label.
        searcher: its rungs are shares of the whole budget.
        flops: of each network's training, with its search.
        recipe: of all trainings.
    """

    data: Callable[[int], lm.EpisodeDataModule]
    tests: Mapping[str, lm.EpisodeDataModule]
    space: lm.SequenceSpace
    fixed: Mapping[str, Labels]
    searcher: lm.Halving
    flops: float
    recipe: lm.MetaRecipe = SCALED

    def searched(self, seed: int) -> Run:
        """Halving over meta-trainings, and the winner trained on."""
        data = self.data(seed)
        with TemporaryDirectory() as folder:
            found = lm.SourceSearch(
                space=self.space,
                searcher=self.searcher,
                flops=self.flops,
                recipe=self.recipe,
                seed=seed,
                directory=folder,
            ).search(data)
            rest = self.flops - found.record.trials[-1].cost.flops
            model = self._model(found.architecture, rest, seed, start=f"{folder}/start.ckpt")
        return self._tested(model, self.data(seed + FRESH))

    def fixed_network(self, labels: Labels, seed: int) -> Run:
        """The same without a search."""
        return self._tested(self._model(complete(self.space, labels), self.flops, seed), self.data(seed))

    def _model(self, architecture: lm.Architecture, flops: float, seed: int, start: str | None = None) -> lm.MetaSearch:
        torch.manual_seed(seed)
        return lm.MetaSearch(
            space=self.space,
            architecture=architecture.to_json(),
            start=start,
            flops=flops,
            seed=seed,
            shape=next(iter(self.tests.values())).shape,
            **self.recipe.parts(),
        )

    def _tested(self, model: lm.MetaSearch, data: lm.EpisodeDataModule) -> Run:
        silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = lm.Trainer(accelerator="cpu", max_epochs=-1, limit_val_batches=0, **silent)
        trainer.fit(model, data)
        scores = {}
        for name, test in self.tests.items():
            (metrics,) = trainer.test(model, test, verbose=False)
            scores[name] = 100 * metrics["test/accuracy"]
        return Run(model.architecture(), model.cost().flops, scores)


@dataclass(frozen=True)
class OneTask:
    """``search`` on one task against networks that are trained for as many epochs as its FLOPs pay for.

    Attributes:
        name: of the problem.
        task: the task of a seed.
        space: what is searched.
        fixed: networks that are not searched, by name; open choices take the first label.
        recipe: of the chosen network, and of the fixed ones but for their epochs.
        brief: epochs of a full training within the search.
        method: makes the searcher of an estimator.
        flops: of the search alone.
    """

    name: str
    task: Callable[[int], lm.Task]
    space: lm.SequenceSpace
    fixed: Mapping[str, Labels]
    recipe: lm.Recipe
    brief: int
    method: Callable[..., lm.Halving]
    flops: float

    def searched(self, seed: int) -> Run:
        """Halving; the winner learns from the train and val parts."""
        estimator = partial(lm.TrainingEstimator, recipe=replace(self.recipe, epochs=self.brief))
        method = self.method(estimator=estimator)
        task = self.task(seed)
        return self._run(
            lm.search(task, self.space, method=method, flops=self.flops, recipe=self.recipe, seed=seed, progress=False)
        )

    def fixed_network(self, labels: Labels, seed: int, flops: float) -> Run:
        """A fixed network, trained for the FLOPs of search and training together."""
        return self._run(train_fixed(self.task(seed), self.space, labels, self.recipe, flops, seed))

    def _run(self, found: lm.SearchResult) -> Run:
        return Run(found.architecture, spent(found), {self.name: 100 * found.test_accuracy})


def spent(result: lm.SearchResult) -> float:
    """Training FLOPs, the search counted in."""
    return float(result.cost.flops + result.training_cost.flops)


def train_fixed(
    task: lm.Task, space: lm.SearchSpace, labels: Labels, recipe: lm.Recipe, flops: float, seed: int
) -> lm.SearchResult:
    """A network that is trained from scratch on train and val, for as many epochs as there are FLOPs, at least one.

    Args:
        task: the task.
        space: what the network is of.
        labels: of its choices; open ones take the first label.
        recipe: of the training, but for its epochs.
        flops: what it may cost; it is met within half an epoch.
        seed: of the training.
    """
    examples = len(task.train) + len(task.val or ())
    images = images_an_epoch(examples, recipe.batch_size)
    epoch = training_cost(space, complete(space, labels), task.shape, task.way, images=images).flops
    recipe = replace(recipe, epochs=max(1, round(flops / epoch)))
    return lm.search(task, space, method=lm.FixedArchitecture(labels), recipe=recipe, seed=seed, progress=False)


def episode_accuracy(stream: lm.EpisodeStream, episodes: int, scores: Callable[[lm.Episode], Tensor]) -> float:
    """Accuracy in per cent on the first episodes of a stream, those of a data module's test, without a training.

    Args:
        stream: ``data.stream("test")``.
        episodes: how many of them.
        scores: of an episode's queries, shape ``(n, way)``.
    """
    drawn = (stream[0, index] for index in range(episodes))
    return 100 * fmean(float((scores(each).argmax(1) == each.query.labels).double().mean()) for each in drawn)


def few_shot(problem: FewShot, seeds: Sequence[int], cheap: Mapping[str, Cheap]) -> list[Paired]:
    """All networks of all seeds, and what cheap baselines score, a comparison a test."""
    networks = {SEARCHED: problem.searched}
    networks |= {name: partial(problem.fixed_network, labels) for name, labels in problem.fixed.items()}
    return _compared({name: [run(seed) for seed in seeds] for name, run in networks.items()}, cheap)


def one_task(problem: OneTask, seeds: Sequence[int], cheap: Cheap) -> list[Paired]:
    """The searched network of each seed, the fixed ones for the FLOPs that it took, and cheap baselines."""
    runs = {SEARCHED: [problem.searched(seed) for seed in seeds]}
    for name, labels in problem.fixed.items():
        runs[name] = [
            problem.fixed_network(labels, seed, run.flops) for seed, run in zip(seeds, runs[SEARCHED], strict=True)
        ]
    return _compared(runs, {problem.name: cheap})


def _compared(runs: Mapping[str, Sequence[Run]], cheap: Mapping[str, Cheap]) -> list[Paired]:
    scores: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for method, found in runs.items():
        for test in found[0].scores:
            scores[test][method] = [run.scores[test] for run in found]
    cost = {method: sum(run.flops for run in found) / len(found) for method, found in runs.items()}
    notes = {"found": [run.architecture.to_json() for run in runs[SEARCHED]]}
    return [
        Paired(test, "accuracy, %", True, {**own, **{k: [*v] for k, v in cheap.get(test, {}).items()}}, cost, 0, notes)
        for test, own in scores.items()
    ]


def run_rows(
    rows: Mapping[str, Callable[[Any], list[Paired]]],
    given: Callable[..., Any],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
) -> None:
    """Measure rows as the command line says, print their tables, and write what was found after each.

    Args:
        rows: each by its name; a row raises ``FileNotFoundError`` where it lacks a file, and is skipped then.
        given: makes what a row is given of the command line's other options.
        parser: of these.
        arguments: the command line; None takes the program's own.
    """
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--rows", nargs="+", choices=[*rows], default=[*rows])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual FLOPs and epochs")
    parser.add_argument("--output", type=Path)
    options = vars(parser.parse_args(arguments))
    names, output = options.pop("rows"), options.pop("output")
    torch.set_num_threads(1)
    found: list[Paired] = []
    for name in names:
        try:
            found += timed(partial(rows[name], given(**options)))
        except FileNotFoundError as error:
            print(f"{name} is skipped: {error}.")
            continue
        except ValueError as error:
            parser.exit(2, f"{name} stops at --scale {options['scale']:g}: {error}\n")
        if output is not None:
            write(output, found, options["seeds"])


def logistic_regression(
    inputs: Tensor, labels: Tensor, tested: Tensor, way: int, penalty: float = 1.0, steps: int = 300
) -> Tensor:
    """Scores of inputs ``(n, features)`` by a linear map with a squared penalty, without a constant, ``(n, way)``.

    Args:
        inputs: to learn from, dense or sparse, shape ``(m, features)``.
        labels: their classes, shape ``(m,)``.
        tested: what is scored.
        way: number of classes.
        penalty: of the squared weights, beside the sum of the losses.
        steps: of L-BFGS at most.
    """
    weight = torch.zeros(inputs.shape[1], way, dtype=inputs.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(inputs @ weight, labels) + penalty / 2 * weight.square().sum() / len(labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return (tested @ weight).detach()


def best_penalty(features: Tensor, task: lm.Task, penalties: Sequence[float] = (0.1, 1.0, 10.0)) -> float:
    """Test accuracy in per cent of logistic regression on train and val, with the penalty that is best for val.

    Args:
        features: of the train, val and test parts one behind the other, dense or sparse.
        task: has the labels.
        penalties: what is tried.
    """
    assert task.val is not None
    labels, first = torch.cat([task.train.labels, task.val.labels]), len(task.train)
    rows = torch.arange(features.shape[0])
    train, val, learned, tested = (
        features.index_select(0, rows[part])
        for part in (slice(first), slice(first, len(labels)), slice(len(labels)), slice(len(labels), None))
    )

    def right(penalty: float) -> float:
        scores = logistic_regression(train, task.train.labels, val, task.way, penalty, steps=100)
        return float((scores.argmax(1) == labels[first:]).double().mean())

    scores = logistic_regression(learned, labels, tested, task.way, max(penalties, key=right), steps=100)
    return 100 * float((scores.argmax(1) == task.test.labels).double().mean())
