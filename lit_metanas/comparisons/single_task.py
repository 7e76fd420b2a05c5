"""The search of one task by one method: the chosen network, trained and tested, and its cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from time import perf_counter
from typing import Literal

import torch

from lit_metanas.comparisons.search_progress import SEARCHING, ReportedBudget, show_progress
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.tested_part import reach_of, shown_predictions, tested_part
from lit_metanas.estimators.training_estimator import TrainingEstimator, check_finite
from lit_metanas.inputs.batches import float_type
from lit_metanas.io.allocator import default_dtype, torch_threads
from lit_metanas.kinds.kind import kind_of
from lit_metanas.records.record import Cost, FailedWorkError, SearchOutcome
from lit_metanas.records.record_lines import SHIPPED, read_record_lines
from lit_metanas.searchers import QuerySearcher, Searcher, SuccessiveHalving
from lit_metanas.searchers.halving.proposals import fitting
from lit_metanas.spaces import Architecture, NetworkCost, SearchSpace, default_space
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.tasks.task import Split, Task, check_task
from lit_metanas.training.child import Child, chosen_child, fit_child, recipe_cost, score, scores_of
from lit_metanas.training.encoders.encoded_task import EncodedTask, encoder_cost, seen_task, whole_network
from lit_metanas.training.ensembles import members_of
from lit_metanas.training.precision import FLOAT32, by_flags, check_precision
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.trainers import check_threads
from lit_metanas.training.workers import check_workers, number_of_workers, worker_processes

HALVING_CANDIDATES = 8  # architectures that the default method begins with

TRAININGS = 4  # full trainings that the default budget pays for


def search(
    task: Task,
    space: SearchSpace | None = None,
    *,
    method: Searcher | None = None,
    flops: float | None = None,
    queries: int | None = None,
    recipe: Recipe | None = None,
    refit: bool = True,
    validate: bool = False,
    seed: int = 0,
    threads: int | None = 1,
    workers: int | Literal["auto"] = "auto",
    precision: str = FLOAT32,
    progress: bool = True,
) -> SearchResult:
    """Search the architecture for one task, train the chosen network, and score it on the task's test part.

    Search and training read the train and val parts; the test part is read once, at the end. All computation runs on
    the task's device (``task.to("cuda")``). Global state stays as it is: random states, gradient mode, default dtype,
    threads and warnings.

    Args:
        task: the task; it sets the input shape and the number of classes.
        space: the search space; None takes ``default_space``.
        method: the searcher. The default is successive halving of eight architectures. In a default space these are the
            portfolio of the records that the package ships (``benchmarks/shipped_records.py``), and then the first
            networks of the kind of data (``Kind.first``). In other spaces they are drawn at random: no method that
            starts from scratch was clearly better for the same training FLOPs, and half of them were enough
            (``benchmarks/from_scratch.py``).
        flops: training FLOPs (3 x forward multiply-adds x images) that the search may spend. None lets the method
            decide when it ends; the default method then gets the cost of four trainings by the recipe.
        queries: architectures that the search may evaluate; None is no limit.
        recipe: training hyper-parameters of the chosen network; those that the method searched replace them. Those of
            the shipped records replace only default values.
        refit: whether the chosen network is trained on the train and val parts together; otherwise on the train part
            alone, as in the search.
        validate: whether the chosen network is also scored on the val part, after a training on the train part alone.
            Choose methods by this score, not by the test score.
        seed: seed of search and training; the same seed gives the same result.
        threads: torch's threads during the call, if the task lies on a CPU; None leaves them as they are. One thread is
            up to 20 times faster for small images.
        workers: processes in which halving trains networks side by side, with the same result for any number. By
            default one for each core, unless the budget is small, the task lies on an accelerator, or there are several
            threads.
        precision: of the trainings by the default method, and of the chosen network's: ``32-true``; ``bf16-mixed``,
            where the networks' passes are in bf16, but weights, optimizers, losses and everything that is scored or
            exported in float32; or ``auto``, which is the second one on a device that is made for it. The estimator of
            another method has a precision of its own.
        progress: whether a terminal or notebook shows the share of the budget that is spent; a log, on stderr, gets a
            line at each tenth.

    Raises:
        ValueError: the task is malformed, a number is out of its range, the method refuses the task, or the budget pays
            for no architecture.
        RuntimeError: several trainings in a row fail, or all of them, or the chosen network's.

    Example:
        >>> import numpy as np
        >>> images, labels = np.random.rand(40, 8, 8), np.arange(40) % 2
        >>> task = lm.task_from_arrays(images, labels, classes=["cat", "dog"])
        >>> space = lm.LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(4,))
        >>> result = lm.search(task, space, method=lm.DARTSSearcher(epochs=2, batch_size=8), recipe=lm.Recipe(epochs=2))
        >>> 0 <= result.test_accuracy <= 1
        True
    """
    _check_types(task, space, method, recipe)
    if seed < 0:
        raise ValueError(f"search: seed = {seed} must be at least 0.")
    check_task(task)
    usual = space is None
    if space is None:
        space = default_space(task.shape)
    space.check_shape(task.shape)
    space.check_objective(task.goal)
    check_threads("search", threads)
    check_workers("search", workers)
    check_precision("search", precision)
    precision = by_flags(precision, task.train.inputs.device)
    seed = int(seed)  # one of numpy's is a seed, too
    recipe = recipe or Recipe()
    searcher = method
    if searcher is None:
        searcher = default_method(space, recipe, kind_of(task).first if usual else (), precision=precision)
        if flops is None:
            rung = searcher.first_rung(searcher.known_records(task.id, space), space, seed)
            flops = default_flops(task, space, recipe, [query.architecture for query in rung])
    if isinstance(method, QuerySearcher) and method.trials is None and flops is None and queries is None:
        raise ValueError("search: QuerySearcher goes on until its budget is spent: give flops, queries, or its trials.")
    with (
        undisturbed(task, threads),
        worker_processes(number_of_workers(workers, flops=flops or 0.0, device=task.train.inputs.device)),
        show_progress(budget := ReportedBudget(task, searcher, queries=queries, flops=flops), progress) as show,
    ):
        task, begin = task.trainable(), perf_counter()
        show(SEARCHING)
        outcome = searcher.search(task, space, budget, seed)
        found = replace(outcome, record=replace(outcome.record, method=type(searcher).__name__, seed=seed))
        cost = replace(budget.spent, seconds=max(perf_counter() - begin, budget.spent.seconds))
        part = all_but_test(task) if refit else task.train
        show("training the chosen network")
        train = partial(_train, task, space=space, found=found, recipe=recipe, seed=seed, precision=precision)
        child, training_cost = train(part)
        validated, judged = math.nan, child
        if validate and part is not task.train:  # the child has seen the val part
            judged, more = train(task.train)
            training_cost += more
        if task.val is not None and (validate or part is task.train):
            if validate:
                validated = score(judged, task.val)
            if task.goal.scored == "input":
                scores = scores_of(judged.eval(), task.val, task.goal)
                task = replace(task, objective=task.goal.calibrated(scores, task.val.labels))
        return result_of(
            task,
            space,
            found,
            child,
            learned=len(part),
            cost=cost,
            training_cost=training_cost,
            meta_cost=searcher.meta_cost + found.meta_cost,
            validated=validated,
            precision=precision,
        )


def _check_types(task: object, space: object, method: object, recipe: object) -> None:
    """Refuse what is of another class; all but the task may be None."""
    given = (
        ("task", task, Task),
        ("space", space, SearchSpace),
        ("method", method, Searcher),
        ("recipe", recipe, Recipe),
    )
    for name, value, kind in given:
        if not isinstance(value, kind) and (value is not None or name == "task"):
            raise ValueError(f"search: {name} must be a {kind.__name__}, not {type(value).__name__}.")


@contextmanager
def undisturbed(task: Task, threads: int | None) -> Iterator[None]:
    """Enable gradients, and set the task's precision and the threads of torch, whatever the caller's settings."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        default_dtype(float_type(task.train.inputs)),
        torch_threads(threads if task.train.inputs.device.type == "cpu" else None),
        _interruptible(),
    ):
        yield


def result_of(
    task: Task,
    space: SearchSpace,
    found: SearchOutcome,
    child: Child,
    *,
    learned: int,
    cost: Cost,
    training_cost: Cost,
    meta_cost: Cost,
    validated: float = math.nan,
    precision: str = FLOAT32,
    size: NetworkCost | None = None,
) -> SearchResult:
    """Test a trained network once, and collect its result; ``size`` None is that of the architecture."""
    tested = tested_part(child, task)
    seen, encoder = seen_task(task), encoder_cost(task)
    tested, network = tested._replace(task=seen), whole_network(task, child.network).eval()
    classes, ensemble = task.goal.names(task.classes), members_of(child.network)
    if size is None:
        one = space.cost(found.architecture, task.shape, task.way)
        size = NetworkCost(ensemble * one.parameters, ensemble * one.flops)
    size += encoder
    return SearchResult(
        task_id=task.id,
        space=space.name,
        architecture=found.architecture,
        recipe=child.recipe,
        network=network,
        classes=classes,
        shape=seen.shape,
        objective=task.goal,
        test_score=tested.judged.value,
        ci95=reach_of(task.goal, tested.judged, task.test.labels),
        class_accuracy=tested.by_class,
        images=(learned, len(task.test)),
        cost=cost,
        training_cost=training_cost,
        meta_cost=meta_cost,
        parameters=size.parameters,
        flops=size.flops,
        record=found.record,
        untried=found.untried,
        validated=validated,
        preprocessing=seen.preprocessing,
        predictions=shown_predictions(seen, tested.predictions),
        measures=tested.measures,
        examples=tested.rows,
        errors=tested.worst_explained(network, size.flops),
        ensemble=ensemble,
        ordinal=found.ordinal,
        tested=seen.test,
        precision=precision,
        encoder=task.encoder.describe() if isinstance(task, EncodedTask) else "",
    )


def default_method(
    space: SearchSpace, recipe: Recipe, first: Sequence[Mapping[str, str]] = (), *, precision: str = FLOAT32
) -> SuccessiveHalving:
    """Successive halving of a few architectures, trained by the recipe, with some first ones; see ``search``."""
    records = (SHIPPED,) if fitting(read_record_lines(SHIPPED), space) else ()
    usual = asdict(Recipe())
    return SuccessiveHalving(
        estimator=partial(TrainingEstimator, recipe=recipe, precision=precision),
        candidates=HALVING_CANDIDATES,
        records=records,
        keep=[name for name, value in asdict(recipe).items() if value != usual[name]],
        first=first,
    )


def default_flops(task: Task, space: SearchSpace, recipe: Recipe, architectures: Sequence[Architecture]) -> float:
    """The cost of some trainings by the recipe, at the mean cost of the first architectures."""
    if not architectures:
        raise ValueError(f"No architecture drawn from {space.name} can be built: widen the space.")
    costs = [recipe_cost(space, one, task, task.train, recipe).flops for one in architectures]
    return TRAININGS * sum(costs) / len(costs)


def _train(
    task: Task, part: Split, *, space: SearchSpace, found: SearchOutcome, recipe: Recipe, seed: int, precision: str
) -> tuple[Child, Cost]:
    begin = perf_counter()
    child = chosen_child(task, space, found, recipe.replace(found.recipe), seed)
    cost = fit_child(child, part, seed=seed, precision=precision)
    try:
        check_finite(child.network)
    except ArithmeticError as error:
        rate, advice = f"the recipe's learning_rate {child.recipe.learning_rate:g}", "lower that"
        if "learning_rate" in found.recipe:
            rate = f"the learning_rate {child.recipe.learning_rate:g} that the method chose"
            advice = "have it choose among lower ones"
        raise FailedWorkError(
            f"On task '{task.id}' the chosen network's {error}; it is {found.architecture}, trained with {rate}: "
            f"{advice}."
        ) from None
    return child.to(part.inputs.device), replace(cost, seconds=perf_counter() - begin)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Pass Ctrl-C to the caller; Lightning would end the program."""
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
