"""All methods on all target tasks: search, train the child network, score it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from math import nan, sqrt
from time import perf_counter
from typing import Any

import torch

from lit_metanas.comparisons.comparison import Comparison
from lit_metanas.comparisons.finished_pairs import ComparisonRow
from lit_metanas.io.checkpoints import tensor_digest, write_weights
from lit_metanas.io.text import hardware
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.records.rows import ArchitectureRow, Protocol, ResultRow
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Shape
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import Child, Recipe, accuracy, fit_child
from lit_metanas.training.export.exported_program import export_child


class TargetSearch(Comparison[Task, Searcher]):
    """Searches each target task with each method under the same budget, trains what was found, and scores it.

    All methods see identical tasks, and all children are trained by one recipe, but for hyper-parameters that a method
    searched. The search reads a task's train and val parts; the test part is read once, by the trained child. A search
    that was interrupted goes on when it is started again in its directory (see ``Comparison``).

    Args:
        space: what is searched.
        methods: the searchers, by their name in tables.
        recipe: training hyper-parameters of every child.
        budget_flops: training FLOPs (3 x forward multiply-adds x images) of each search; None is no limit.
        budget_queries: architectures that each search may evaluate; None is no limit.
        seed: of all searches and children.
        directory: where results, architectures and children are written.
        shape: channels, height and width of an input, if tasks are to be checked against it.
        export: whether each child is written as a program that runs with torch alone, too.
        config: where the run's configuration is kept.

    Attributes:
        results: a row for each task and method, of all processes, on the first one, once the search has ended.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        methods: dict[str, Searcher],
        recipe: Recipe | None = None,
        budget_flops: float | None = None,
        budget_queries: int | None = None,
        seed: int = 0,
        directory: str = "search",
        shape: Shape | None = None,
        export: bool = False,
        config: str = "",
    ) -> None:
        super().__init__(
            methods=methods,
            budget_flops=budget_flops,
            budget_queries=budget_queries,
            seed=seed,
            directory=directory,
            config=config,
        )
        self.space = space
        self.recipe = recipe or Recipe()
        self.shape = shape
        self.export = export

    def settings(self) -> Mapping[str, Any]:
        """Space and recipe."""
        space = {choice.name: list(choice.labels) for choice in self.space.choices}
        return {"space": space, "recipe": asdict(self.recipe)}

    def name(self, problem: Task) -> str:
        """The task's id."""
        return problem.id

    def told(self, problem: Task) -> Mapping[str, Any]:
        """Classes and images, and whether programs are written."""
        return {"task": _describe(problem), "export": self.export}

    def predict_step(self, batch: Task, batch_idx: int) -> list[ResultRow]:
        """Run every method on one task.

        Raises:
            ValueError: the task has another shape than the search was set up for, or a searcher refuses it.
        """
        if self.shape is not None and tuple(self.shape) != batch.shape:
            raise ValueError(
                f"Task '{batch.id}' has inputs of shape {batch.shape}, but the search is set up for "
                f"{tuple(self.shape)}: resize the images or change the channels of the task."
            )
        with torch.inference_mode(False):  # tensors made in it can never have gradients: search on copies
            task = _copy(batch)
        return super().predict_step(task, batch_idx)

    def compared(self, problem: Task, method: str, searcher: Searcher) -> ComparisonRow:
        """Search, train, score, and write the child."""
        assert self.finished is not None
        budget = self.budget()
        begin = perf_counter()
        found = searcher.search(problem, self.space, budget, self.seed)
        cost = replace(budget.spent, seconds=perf_counter() - begin)
        child = self._trained(problem, found)
        pair = self._rows(problem, method, found, cost, searcher.meta_cost, accuracy(child, problem.test))
        folder = self.finished.folder(problem.id, method)
        write_weights(folder / "weights.pt", child.network.state_dict())
        if self.export:
            names = problem.classes or tuple(str(label) for label in range(problem.way))
            labels = found.architecture.to_json()
            export_child(child.network, folder, architecture=labels, classes=names, shape=problem.shape)
        return pair

    def _trained(self, task: Task, found: SearchOutcome) -> Child:
        recipe = self.recipe.changed(found.recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            child = Child(
                space=self.space,
                architecture=found.architecture,
                shape=task.shape,
                way=task.way,
                recipe=recipe,
                weights=found.weights if recipe.inherit else None,
            )
            fit_child(child, task.train, seed=self.seed)
        return child.to(task.train.inputs.device)

    def _rows(
        self, task: Task, method: str, found: SearchOutcome, cost: Cost, meta_cost: Cost, value: float
    ) -> ComparisonRow:
        """The rows of one method on one task, for both files."""
        size = self.space.cost(found.architecture, task.shape, task.way)
        recipe: dict[str, float | int | str | bool] = asdict(self.recipe.changed(found.recipe))
        result = ResultRow(
            method=method,
            task_id=task.id,
            space=self.space.name,
            architecture=found.architecture,
            recipe=recipe,
            seed=self.seed,
            protocol=Protocol("target", task.way, len(task.train) // task.way, "running"),
            value=value,
            ci95=wilson(value, len(task.test)),
            cost=cost,
            meta_cost=meta_cost,
            parameters=size.parameters,
            flops=size.flops,
            curve=found.record.curve,
            front=found.record.front if len(found.record.objectives) > 1 else (),
            hardware=hardware(),
            config=self.config,
        )
        assert self.finished is not None
        folder = self.finished.folder(task.id, method).relative_to(self.directory)
        own = [trial for trial in found.record.trials if trial.scored and trial.architecture == found.architecture]
        chosen = ArchitectureRow(
            task_id=task.id,
            method=method,
            space=self.space.name,
            architecture=found.architecture,
            value=max((trial.value for trial in own), default=nan),
            seed=self.seed,
            cost=cost,
            recipe=recipe,
            shape=task.shape,
            way=task.way,
            classes=task.classes,
            weights=(folder / "weights.pt").as_posix(),
        )
        return ComparisonRow(result, chosen, found.record)


def wilson(share: float, number: int, z: float = 1.959964) -> float:
    """Half width of the 95 % confidence interval of a share of ``number`` examples (Wilson 1927).

    Unlike the normal approximation it is not zero where all or none are right.
    """
    return z * sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)


def _describe(task: Task) -> dict[str, object]:
    """What tells a task from another of the same id."""
    splits = {"train": task.train, "val": task.val, "test": task.test}
    digests = {name: split and tensor_digest(split.inputs, split.labels) for name, split in splits.items()}
    return {"id": task.id, "way": task.way, "classes": list(task.classes), **digests}


def _copy(task: Task) -> Task:
    def copied(split: Split) -> Split:
        return Split(split.inputs.clone(), split.labels.clone())

    val = None if task.val is None else copied(task.val)
    return replace(task, train=copied(task.train), val=val, test=copied(task.test))
