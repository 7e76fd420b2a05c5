"""All methods on all target tasks: search, train the child network, score it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any, Literal

from rich.console import Console
from torch import nn

from lit_metanas.comparisons.comparison import Comparison, ComparisonRow
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.inputs import Preprocessing, Shape
from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.settings import settings_of, tensor_digest
from lit_metanas.io.text import hardware
from lit_metanas.objectives.classification import Classification
from lit_metanas.records.result_files import PREDICTIONS, write_row_file
from lit_metanas.records.rows import Protocol, ResultRow, ShownPrediction
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import batch_norms
from lit_metanas.training.export.exported_program import check_export_place
from lit_metanas.training.export.onnx_program import check_onnx_installed
from lit_metanas.training.recipes import Recipe


class TargetSearch(Comparison[Task, Searcher]):
    """Searches each target task with each method under the same budget, trains the chosen network, and scores it.

    All methods see identical tasks, and all children are trained by one recipe, except for hyper-parameters that a
    method searched. The search reads a task's train and val parts; the trained child reads the test part once. A search
    that was interrupted continues when it is started again in its directory.

    Args:
        space: the search space.
        methods: the searchers, by their name in tables.
        recipe: training hyper-parameters of every child.
        flops: training FLOPs (3 x forward multiply-adds x examples) of each search; None is no limit.
        queries: architectures that each search may evaluate; None is no limit.
        seed: seed of all searches and children.
        directory: folder of results, architectures and children.
        export: whether each child is also written as a program that runs with torch alone, with a card; ``onnx`` adds
            an ONNX file.
        refit: whether children are trained on the train and val parts together; otherwise on the train part alone, as
            in the searches.
        validate: whether each chosen network is also scored on the val part, after a training on the train part alone.
            Choose methods by this score, not by the test score.
        config: path of the run's saved configuration.

    Attributes:
        results: a row for each task and method, of all processes, on the first one, once the search has ended.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2, id="noise")
        >>> methods = {"random": lm.RandomArchitecture(), "first labels": lm.searchers.FixedArchitecture({})}
        >>> space, recipe = lm.LayeredSpace(widths=(4,)), lm.Recipe(epochs=1)
        >>> trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
        >>> with TemporaryDirectory() as folder:
        ...     comparison = lm.comparisons.TargetSearch(space=space, methods=methods, recipe=recipe, directory=folder)
        ...     (scores,) = trainer.predict(comparison, DataLoader([task], batch_size=None, collate_fn=lambda one: one))
        >>> list(scores), [row.task_id for row in comparison.results]
        (['random', 'first labels'], ['noise', 'noise'])
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        methods: dict[str, Searcher],
        recipe: Recipe | None = None,
        flops: float | None = None,
        queries: int | None = None,
        seed: int = 0,
        directory: str = "search",
        export: bool | Literal["onnx"] = False,
        refit: bool = True,
        validate: bool = False,
        config: str = "",
    ) -> None:
        settings = {"space": settings_of(space), "recipe": asdict(recipe or Recipe()), "refit": refit}
        super().__init__(methods, settings, flops, queries, seed, directory, config)
        if isinstance(export, str):
            check_onnx_installed()
        self.space = space
        self.recipe = recipe or Recipe()
        self.export = export
        self.refit = refit
        self.validate = validate

    @property
    def input_shape(self) -> Shape | None:
        """The shape that all meta-trained methods share, for tasks that leave theirs open."""
        return self._shared("input_shape", by=tuple)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing that all meta-trained methods share, for tasks that leave theirs open."""
        return self._shared("preprocessing", by=attrgetter("digest"))

    def _shared(self, name: str, by: Callable[[Any], Any]) -> Any:
        """An attribute of the methods if all that have it agree; a missing checkpoint raises FileNotFoundError."""
        found = dict[Any, Any]()
        for method, searcher in self.methods.items():
            try:
                if (own := getattr(searcher, name)) is not None:
                    found.setdefault(by(own), own)
            except FileNotFoundError as error:
                key, reason = f"model.methods.{method}.start", str(error).rstrip(".")
                raise FileNotFoundError(f"'{key}': {reason}, by {shlex.quote(f'--{key}')} FILE.") from None
        if len(found) == 1:
            return found.popitem()[1]
        return None

    def identify(self, problem: Task) -> tuple[str, Mapping[str, Any]]:
        """The task's id; its data, the kind of export, and whether the choice is validated."""
        return problem.id, {"task": task_settings(problem), "export": self.export, "validate": self.validate}

    def run_method(self, problem: Task, method: str, searcher: Searcher) -> ComparisonRow:
        """Search, train, score, and write the child."""
        folder = self.folder(problem.id, method)
        if self.export:
            check_export_place(folder, card=True)
        found = search(
            problem,
            self.space,
            method=searcher,
            flops=self.flops,
            queries=self.queries,
            recipe=self.recipe,
            refit=self.refit,
            validate=self.validate,
            seed=self.seed,
            threads=None,  # as the Trainer has set them
            progress=self.trainer.is_global_zero and not Console(stderr=True).is_terminal,  # which has a bar
        )
        command = f"lit-metanas search -c {shlex.quote(self.config)}" if self.config else ""
        if self.export:
            found.export(folder, onnx=self.export == "onnx", command=command)
        else:
            write_weights(folder / "weights.pt", found.network.state_dict())
        write_row_file(folder / PREDICTIONS, ShownPrediction, found.predictions)
        return comparison_row(
            problem,
            found,
            method=method,
            seed=self.seed,
            config=self.config,
            weights=(folder / "weights.pt").relative_to(self.directory).as_posix(),
        )


def comparison_row(
    task: Task, found: SearchResult, *, method: str, seed: int, config: str = "", weights: str = ""
) -> ComparisonRow:
    """The rows of a task's result for tables and files; ``weights`` is relative to their folder."""
    curve, front = found.record.curve_over("flops"), found.record.trade_offs
    if found.ordinal:
        curve, front = (), ()
    result = ResultRow(
        method=method,
        task_id=task.id,
        space=found.space,
        architecture=found.architecture,
        recipe=found.whole_recipe,
        seed=seed,
        protocol=_protocol(task, found.network),
        value=found.test_score,
        metric=found.metric,
        ci95=found.ci95,
        class_values=found.class_accuracy,
        images=found.images,
        cost=found.cost,
        meta_cost=found.meta_cost,
        parameters=found.parameters,
        flops=found.flops,
        curve=curve,
        front=front,
        ensemble=found.ensemble,
        linear=found.linear,
        stopped=found.stopped,
        hardware=hardware(),
        precision=found.precision,
        config=config,
    )
    record = replace(found.record, precision=found.precision)
    rows = ComparisonRow.of(result, record, value=found.val_score, metric=f"validation {found.metric}")
    return rows._replace(
        chosen=replace(rows.chosen, shape=task.shape, way=task.way, classes=task.classes, weights=weights)
    )


def _protocol(task: Task, network: nn.Module) -> Protocol:
    way, shot = (task.way, len(task.train) // task.way) if isinstance(task.goal, Classification) else (0, 0)
    return Protocol("target", way, shot, "running" * bool(batch_norms(network)))


def task_settings(task: Task) -> dict[str, object]:
    """Plain values that distinguish a task from another of the same id."""
    settings: dict[str, object] = {"id": task.id, "way": task.way, "classes": list(task.classes), "val": None}
    for name, split in (("train", task.train), ("val", task.val), ("test", task.test)):
        if split is not None:
            tensors = (one for one in (split.inputs, split.labels, split.weights) if one is not None)
            settings[name] = tensor_digest(*tensors)
    if task.objective is not None:
        settings["objective"] = settings_of(task.objective)
    return settings
