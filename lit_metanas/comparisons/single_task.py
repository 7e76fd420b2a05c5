"""One task searched by one method: the choice, its trained network, and what it cost."""

from __future__ import annotations

import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text
from torch import Tensor, nn

from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.io.text import duration, number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchOutcome, SearchRecord
from lit_metanas.records.statistics import Interval, percent, wilson
from lit_metanas.searchers.halving import SuccessiveHalving
from lit_metanas.searchers.mutation import draw_new
from lit_metanas.searchers.query import QuerySearcher
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.inputs import ImageShape, Shape, TokenShape, as_shape, float_type, inputs_like
from lit_metanas.tasks.objective import Classification, Judged
from lit_metanas.tasks.task import Split, Task, check_brightness, check_task, join_parts
from lit_metanas.training.child import (
    Child,
    Recipe,
    fit_child,
    images_an_epoch,
    judge,
    score,
    training_cost,
)
from lit_metanas.training.export.exported_program import export_child, fit_images
from lit_metanas.training.trainers import check_threads, torch_threads

HALVING_CANDIDATES = 8
"""Architectures that the default method begins with."""
TRAININGS = 4
"""Full trainings that its budget pays for, where no other is given."""
PREDICTED_AT_ONCE = 500
"""Inputs, which bounds the memory."""
LEAST_BETWEEN_LINES, MOST_BETWEEN_LINES = 2.0, 30.0
"""Seconds between two lines of a log, of which each further tenth of the budget is worth one."""
SEARCHING = "searching"


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """What a search of one task found.

    Attributes:
        task_id: the task.
        space: the search space's name.
        architecture: the chosen architecture.
        recipe: how the network was trained.
        network: the trained network, in evaluation mode, on the task's device: inputs ``(n, *shape)`` in, scores
            ``(n, classes)`` out.
        classes: the classes' names, in the order of the scores.
        shape: of one input.
        metric: what the scores measure: of classification ``accuracy``.
        test_score: on the test part; of classification the share of the examples that the network tells rightly.
        ci95: half width of the 95 % confidence interval of ``test_score``.
        class_accuracy: of classification, the same share for each class that has test examples, by its name.
        images: how many images the network was trained on, and how many it was tested on.
        cost: of the search alone: training FLOPs, seconds, and queries, the number of architectures tried.
        training_cost: of the training of the chosen network, after the search.
        meta_cost: of the meta-training that the method starts from, paid once; zero where there is none.
        parameters: trainable parameters of the network.
        flops: forward multiply-adds of the network for one image.
        record: everything that the search tried.
        untried: architectures that were to be tried, but that the budget did not pay for.
        validated: validation score of the chosen network, trained on the train part alone; NaN unless asked for.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1))
        >>> result.classes, result.network(task.test.inputs).shape
        (('0', '1'), torch.Size([4, 2]))
        >>> sorted(result.predict(task.test.inputs)[0])
        ['0', '1']
    """

    task_id: str
    space: str
    architecture: Architecture
    recipe: Recipe
    network: nn.Module
    classes: tuple[str, ...]
    shape: Shape
    metric: str
    test_score: float
    ci95: float
    class_accuracy: dict[str, float]
    images: tuple[int, int]
    cost: Cost
    training_cost: Cost
    meta_cost: Cost
    parameters: int
    flops: int
    record: SearchRecord
    untried: int
    validated: float = math.nan

    @property
    def test_accuracy(self) -> float:
        """The test score of a classification.

        Raises:
            AttributeError: it measures something else.
        """
        if self.metric != Classification.metric:
            raise AttributeError(f"The task is judged by {self.metric}, not by accuracy: see test_score.")
        return self.test_score

    @property
    def val_score(self) -> float:
        """What ``validate`` measured; else the architecture's best validation score in the search, NaN without one."""
        return self.record.value_of(self.architecture) if math.isnan(self.validated) else self.validated

    @torch.no_grad()
    def predict(self, inputs: Tensor | NDArray[Any]) -> list[dict[str, float]]:
        """For each input the classes' probabilities by name, the most probable first.

        Args:
            inputs: as the task had them, shape ``(n, *shape)``, or a single one of shape ``shape``. Images may be uint8
                or floats in [0, 1]; those of another size are resized, grey is made colour and colour grey.

        Raises:
            ValueError: images cannot be brought to the network's shape, or run from 0 to 255 as floats; or the task has
                no classes.
        """
        if self.metric != Classification.metric:
            raise ValueError(f"predict names classes, and this task is judged by {self.metric}: use network(inputs).")
        given, shape, weight = torch.as_tensor(inputs), as_shape(self.shape), next(self.network.parameters())
        given = given[None] if given.ndim == (1 if isinstance(shape, TokenShape) else len(shape)) else given
        if isinstance(shape, ImageShape):
            given = fit_images(given, shape)
            check_brightness("The input of predict", given)
        parts = inputs_like(given, weight).split(PREDICTED_AT_ONCE)
        rows = torch.cat([self.network(part) for part in parts]).softmax(dim=1).tolist()
        named = [zip(self.classes, row, strict=True) for row in rows]
        return [dict(sorted(pairs, key=lambda pair: -pair[1])) for pairs in named]

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        Args:
            folder: gets ``model.pt2``, ``weights.pt`` and ``model.json``; made if absent. Each file is replaced whole.
        """
        labels = self.architecture.to_json()
        with torch.inference_mode(False):
            export_child(self.network, folder, architecture=labels, classes=self.classes, shape=self.shape)

    def __repr__(self) -> str:
        trained, tested = self.images
        found = percent(Interval(self.test_score, self.ci95, tested))
        return (
            f"Found in {self.space} for task '{self.task_id}':\n"
            f"{_wrap(f'architecture: {self.architecture}')}\n"
            f"  test {self.metric}: {found} % (95 % interval){self._weakest_line()}\n"
            f"  images: trained on {trained}, tested on {tested}\n"
            f"  network: {self.parameters:,} parameters, {self.flops:,} multiply-adds an image\n"
            f"{self._tried_line()}"
            f"  cost of the search: {_cost_text(self.cost)}\n"
            f"  cost of training the network: {_cost_text(self.training_cost)}"
        )

    def _weakest_line(self) -> str:
        """The class that is recognised least often; empty where all are recognised equally often."""
        if len(set(self.class_accuracy.values())) < 2:
            return ""
        name, share = min(self.class_accuracy.items(), key=lambda item: item[1])
        return f"\n  weakest class: {printable(name, 40)}, {100 * share:.1f} %"

    def _tried_line(self) -> str:
        """How many architectures were tried, and what the budget left out; empty where none was tried by itself."""
        if not self.cost.queries:
            return ""
        tried = f"  tried: {number_of(self.cost.queries, 'architecture')}"
        return f"{tried}; the budget did not pay for {self.untried} more\n" if self.untried else f"{tried}\n"


def _cost_text(cost: Cost) -> str:
    return f"{cost.flops:.3g} training FLOPs, {cost.seconds:.1f} s"


def _wrap(text: str) -> str:
    """Lines of 100 characters: an architecture may have many labels."""
    return textwrap.fill(
        text, 100, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def search(
    task: Task,
    space: SearchSpace,
    *,
    method: Searcher | None = None,
    flops: float | None = None,
    queries: int | None = None,
    recipe: Recipe | None = None,
    refit: bool = True,
    validate: bool = False,
    seed: int = 0,
    threads: int | None = 1,
    progress: bool = True,
) -> SearchResult:
    """Search the architecture for one task, train the chosen network, and score it on the task's test part.

    The search reads the train and val parts, and so does the training; the test part is read once, in the end. All
    runs on the device that the task lies on (``task.to("cuda")``). Nothing global is changed: neither random states,
    gradient mode, default dtype, threads nor warnings.

    Args:
        task: what the network is for; input shape and number of classes are taken from it.
        space: what can be built.
        method: how it is searched. By default successive halving of eight architectures drawn at random: of the methods
            that start from scratch none was clearly better for the same training FLOPs, and half of them were enough
            (``benchmarks/from_scratch.py``).
        flops: training FLOPs (3 x forward multiply-adds x images) that the search may spend. None leaves the end to the
            method; the default method then gets as much as four trainings by the recipe cost.
        queries: architectures that the search may evaluate; None is no limit.
        recipe: how the chosen network is trained; hyper-parameters that the method searched replace its own.
        refit: whether the chosen network is trained on the train and val parts together. Without, on the train part
            alone, as the search trained it.
        validate: whether the chosen network is scored on the val part, too, after a training on the train part alone:
            a score to choose a method by, as that of the test part is not.
        seed: of search and training; the same seed gives the same result.
        threads: torch's threads meanwhile, where the task lies on a CPU: small images are fastest with one, by up to 20
            times. None leaves them as they are.
        progress: whether a terminal or notebook shows meanwhile how much of the budget is spent; a log, on stderr, gets
            a line at each tenth.

    Raises:
        ValueError: the task is malformed, a number is out of its range, the method refuses the task, or the budget pays
            for no architecture.
        RuntimeError: training fails, several times in a row or whenever it is tried.

    Example:
        >>> import numpy as np
        >>> import lit_metanas as lm
        >>> images, labels = np.random.rand(40, 8, 8), np.arange(40) % 2
        >>> task = lm.task_from_arrays(images, labels, classes=["cat", "dog"])
        >>> space = lm.LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(4,))
        >>> result = lm.search(task, space, method=lm.DARTSSearcher(epochs=2, batch_size=8), recipe=lm.Recipe(epochs=2))
        >>> 0 <= result.test_accuracy <= 1
        True
    """
    _check_arguments(task, space, method, seed)
    check_threads("search", threads)
    recipe = recipe or Recipe()
    searcher = method or default_method(recipe)
    if method is None and flops is None:
        flops = default_flops(task, space, recipe, seed)
    if isinstance(method, QuerySearcher) and method.trials is None and flops is None and queries is None:
        raise ValueError("search: QuerySearcher goes on until its budget is spent: give flops, queries, or its trials.")
    # Also where the caller has gradients switched off, or works in another precision than the task's.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        _default_dtype(float_type(task.train.inputs)),
        torch_threads(threads if task.train.inputs.device.type == "cpu" else None),
        _interruptible(),
        _show_progress(budget := _ToldBudget(task, searcher, queries=queries, flops=flops), progress) as show,
    ):
        task, begin = task.trainable(), perf_counter()
        show(SEARCHING)
        found = searcher.search(task, space, budget, seed)
        cost = replace(budget.spent, seconds=perf_counter() - begin)
        part = join_parts(task.train, task.val) if refit and task.val is not None else task.train
        show(_training_share(task, part, space=space, found=found, recipe=recipe, spent=cost))
        child, training_cost = _train(task, part, space=space, found=found, recipe=recipe, seed=seed)
        validated = math.nan
        if validate and task.val is not None:
            other, more = child, Cost()
            if part is not task.train:
                other, more = _train(task, task.train, space=space, found=found, recipe=recipe, seed=seed)
            validated, training_cost = score(other, task.val), training_cost + more
        judged = judge(child.eval(), task.test, task.goal)[1]
        size = space.cost(found.architecture, task.shape, task.way)
    classes = task.classes or tuple(str(label) for label in range(task.way))
    return SearchResult(
        task_id=task.id,
        space=space.name,
        architecture=found.architecture,
        recipe=child.recipe,
        network=child.network.eval(),
        classes=classes,
        shape=task.shape,
        metric=task.goal.metric,
        test_score=judged.value,
        ci95=_half_width(judged, task),
        class_accuracy=_by_class(judged, task, classes),
        images=(len(part), len(task.test)),
        cost=cost,
        training_cost=training_cost,
        meta_cost=searcher.meta_cost + found.meta_cost,
        parameters=size.parameters,
        flops=size.flops,
        record=found.record,
        untried=found.untried,
        validated=validated,
    )


def _half_width(judged: Judged, task: Task) -> float:
    """Of the 95 % interval of the test score: of a share by Wilson, and so where all or none of a ratio is right."""
    if isinstance(task.goal, Classification) or judged.half == 0:
        return wilson(min(max(judged.value, 0.0), 1.0), len(task.test))
    return judged.half


def _by_class(judged: Judged, task: Task, classes: tuple[str, ...]) -> dict[str, float]:
    """The accuracy on the examples of each class, where there are classes and examples."""
    if not isinstance(task.goal, Classification):
        return {}
    parts = {name: judged.right[(task.test.labels == label).cpu()] for label, name in enumerate(classes)}
    return {name: float(right.mean()) for name, right in parts.items() if len(right)}


def default_method(recipe: Recipe) -> SuccessiveHalving:
    """Successive halving of a few architectures, which are trained by the recipe; see ``search``."""
    return SuccessiveHalving(estimator=partial(TrainingEstimator, recipe=recipe), candidates=HALVING_CANDIDATES)


def default_flops(task: Task, space: SearchSpace, recipe: Recipe, seed: int) -> float:
    """A budget of some trainings by the recipe, of the mean cost of the architectures that halving begins with."""
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_new(lambda: space.sample(generator), space, HALVING_CANDIDATES, ())
    if not drawn:
        raise ValueError(f"No architecture drawn from {space.name} can be built: widen the space.")
    images = images_an_epoch(len(task.train), recipe.batch_size) * recipe.epochs
    costs = [training_cost(space, one, task.shape, task.way, images=images).flops for one in drawn]
    return TRAININGS * sum(costs) / len(costs)


def _check_arguments(task: Task, space: SearchSpace, method: Searcher | None, seed: int) -> None:
    for name, value, kind in (("task", task, Task), ("space", space, SearchSpace), ("method", method, Searcher)):
        if value is not None and not isinstance(value, kind):
            given = value.__name__ if isinstance(value, type) else type(value).__name__
            made = f"make one, {given}(...)" if isinstance(value, type) and issubclass(value, kind) else "give one"
            raise ValueError(f"search: {name} must be a {kind.__name__}, not {given}: {made}.")
    if seed < 0:
        raise ValueError(f"search: seed = {seed} must be at least 0.")
    check_task(task)
    space.check_shape(task.shape)
    space.check_objective(task.goal)


def _train(
    task: Task, part: Split, *, space: SearchSpace, found: SearchOutcome, recipe: Recipe, seed: int
) -> tuple[Child, Cost]:
    """The chosen network, trained by the recipe on a part of the task, and what that cost."""
    recipe, begin = recipe.replace(found.recipe), perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        child = Child(
            space=space,
            architecture=found.architecture,
            shape=task.shape,
            way=task.way,
            recipe=recipe,
            weights=found.weights if recipe.inherit else None,
            objective=task.objective,
        )
        cost = fit_child(child, part, seed=seed)
    return child.to(part.inputs.device), replace(cost, seconds=perf_counter() - begin)


def _training_share(
    task: Task, part: Split, *, space: SearchSpace, found: SearchOutcome, recipe: Recipe, spent: Cost
) -> str:
    """What begins after the search, and how much of the whole it is."""
    recipe = recipe.replace(found.recipe)
    images = images_an_epoch(len(part), recipe.batch_size) * recipe.epochs
    coming = training_cost(space, found.architecture, task.shape, task.way, images=images).flops
    return f"training the chosen network, {coming / max(coming + spent.flops, 1):.0%} of all FLOPs"


class _ToldBudget(Budget):
    """A budget that can tell a log how much of it is spent."""

    def __init__(self, task: Task, searcher: Searcher, *, queries: int | None, flops: float | None) -> None:
        super().__init__(queries=queries, flops=flops)
        self.logs, self.part = False, ""
        self._title = f"search of '{printable(task.id, 40)}' by {type(searcher).__name__}"
        self._begin = self._told = perf_counter()
        self._tenth = 0

    def charge(self, cost: Cost) -> None:
        """Charge, and print a line where it is time to."""
        super().charge(cost)
        waited, spent = perf_counter() - self._told, self.spent
        shares = [done / most for done, most in ((spent.flops, self.flops), (spent.queries, self.queries)) if most]
        tenth = int(10 * max(shares, default=0))
        if waited >= MOST_BETWEEN_LINES or (waited >= LEAST_BETWEEN_LINES and tenth > self._tenth):
            self._tenth = tenth
            self._print()

    def begin(self, part: str) -> None:
        """Name what begins; a log is told of it unless all goes fast."""
        self.part = part
        if perf_counter() - self._begin >= LEAST_BETWEEN_LINES:
            self._print()

    def describe(self) -> str:
        """How much is spent; empty once the search is over."""
        if self.part != SEARCHING:
            return ""
        parts = [f"{self.spent.flops / self.flops:.0%} of the budget"] if self.flops else []
        if self.spent.queries:
            parts.append(f"{number_of(self.spent.queries, 'architecture')} tried")
        return ", ".join(parts)

    def _print(self) -> None:
        self._told = perf_counter()
        if self.logs:
            parts = (self.part, self.describe(), duration(self._told - self._begin))
            print(f"{self._title}: {', '.join(part for part in parts if part)}", file=sys.stderr, flush=True)


class _Spent(ProgressColumn):
    """What a search has spent."""

    def __init__(self, budget: _ToldBudget) -> None:
        super().__init__()
        self.budget = budget

    def render(self, task: object) -> Text:
        return Text(self.budget.describe(), no_wrap=True)


@contextmanager
def _show_progress(budget: _ToldBudget, wanted: bool) -> Iterator[Callable[[str], None]]:
    """A line on a terminal while a search runs, or lines in a log; what is given says which part of it does."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        budget.logs = wanted
        yield budget.begin
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), _Spent(budget), TimeElapsedColumn(), console=console,
        transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=4, disable=not wanted,
    )  # fmt: skip
    with line:
        part = line.add_task("", total=None)

        def show(name: str) -> None:
            budget.begin(name)
            line.update(part, description=name)

        yield show


@contextmanager
def _interruptible() -> Iterator[None]:
    """Pass Ctrl-C on to the caller, where Lightning would end the program."""
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
