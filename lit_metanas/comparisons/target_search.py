"""All methods on all target tasks: search, train the child network, score it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Console
from torch import nn

from lit_metanas.comparisons.comparison import Comparison
from lit_metanas.comparisons.finished_pairs import ComparisonRow
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape, describe_shape, same_shape
from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.settings import settings_of, tensor_digest
from lit_metanas.io.text import hardware
from lit_metanas.objectives.classification import Classification
from lit_metanas.records.result_files import PREDICTIONS, write_predictions
from lit_metanas.records.rows import Protocol, ResultRow
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.target_data import WholeTask
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Recipe, batch_norms
from lit_metanas.training.export.hub_card import check_card_place
from lit_metanas.training.export.onnx_program import check_onnx_installed


class TargetSearch(Comparison[Task, Searcher]):
    """Searches each target task with each method under the same budget, trains what was found, and scores it.

    All methods see identical tasks, and all children are trained by one recipe, but for hyper-parameters that a method
    searched. The search reads a task's train and val parts; the test part is read once, by the trained child. A search
    that was interrupted goes on when it is started again in its directory (see ``Comparison``).

    Args:
        space: what is searched.
        methods: the searchers, by their name in tables.
        recipe: training hyper-parameters of every child.
        flops: training FLOPs (3 x forward multiply-adds x examples) of each search; None is no limit.
        queries: architectures that each search may evaluate; None is no limit.
        seed: of all searches and children.
        directory: where results, architectures and children are written.
        shape: of an input, if tasks are to be checked against it.
        export: whether each child is written as a program that runs with torch alone, too, with a card; ``onnx``: and
            as an ONNX file; ``int8``: and as one with weights of 8 bits, whose loss on the test part the card tells.
        refit: whether children are trained on the train and val parts together. Without, on the train part alone, as
            the searches trained them.
        validate: whether each chosen network is scored on the val part, too, after a training on the train part alone:
            by that score methods may be compared and one chosen, by that of the test part not.
        config: where the run's configuration is kept.

    Attributes:
        results: a row for each task and method, of all processes, on the first one, once the search has ended.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2, id="noise")
        >>> methods = {"random": lm.RandomArchitecture(), "first labels": lm.FixedArchitecture({})}
        >>> space, recipe = lm.LayeredSpace(widths=(4,)), lm.Recipe(epochs=1)
        >>> trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
        >>> with TemporaryDirectory() as folder:
        ...     comparison = lm.TargetSearch(space=space, methods=methods, recipe=recipe, directory=folder)
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
        shape: Shape | None = None,
        export: bool | Literal["onnx", "int8"] = False,
        refit: bool = True,
        validate: bool = False,
        config: str = "",
    ) -> None:
        super().__init__(
            methods=methods,
            flops=flops,
            queries=queries,
            seed=seed,
            directory=directory,
            config=config,
        )
        if isinstance(export, str):
            check_onnx_installed()
        self.space = space
        self.recipe = recipe or Recipe()
        self.shape = shape
        self.export = export
        self.refit = refit
        self.validate = validate

    @property
    def input_shape(self) -> Shape | None:
        """What tasks whose shape is open are brought to: the shape that all meta-trained methods share."""
        shapes = set(self._asked("input_shape")) - {None}
        return self.shape or (shapes.pop() if len(shapes) == 1 else None)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What tasks take that leave open how inputs are made of raw examples: that of all meta-trained methods."""
        found = [made for made in self._asked("preprocessing") if made is not None]
        return found[0] if len({made.digest for made in found}) == 1 else None

    def _asked(self, name: str) -> list[Any]:
        """An attribute of each method.

        Raises:
            FileNotFoundError: a method lacks the checkpoint that it starts from.
        """
        found = []
        for method, searcher in self.methods.items():
            try:
                found.append(getattr(searcher, name))
            except FileNotFoundError as error:
                key, told = f"model.methods.{method}.start", str(error).rstrip(".")
                raise FileNotFoundError(f"'{key}': {told}, by {shlex.quote(f'--{key}')} FILE.") from None
        return found

    def settings(self) -> Mapping[str, Any]:
        """Space and recipe."""
        return {"space": settings_of(self.space), "recipe": asdict(self.recipe), "refit": self.refit}

    def name(self, problem: Task) -> str:
        """The task's id."""
        return problem.id

    def problem_settings(self, problem: Task) -> Mapping[str, Any]:
        """Classes and examples, the objective, whether programs are written, and whether the choice is validated."""
        more = {"validate": True} if self.validate else {}
        return {"task": task_settings(problem), "export": self.export, **more}

    def predict_step(self, batch: Task | WholeTask, batch_idx: int) -> dict[str, float]:
        """Run every method on one task; the test scores by method.

        Raises:
            ValueError: the task has another shape than the search was set up for, or a searcher refuses it.
        """
        task = batch.task if isinstance(batch, WholeTask) else batch  # of a loader without its data module
        if self.shape is not None and not same_shape(self.shape, task.shape):
            raise ValueError(
                f"Task '{task.id}' has {describe_shape(task.shape)}, but the search is set up for "
                f"{describe_shape(self.shape)}: bring the task to that shape."
            )
        return super().predict_step(task, batch_idx)

    def run_method(self, problem: Task, method: str, searcher: Searcher) -> ComparisonRow:
        """Search, train, score, and write the child.

        Raises:
            ValueError: its folder has files of another's where its own go, or the searcher refuses the task.
        """
        assert self.finished is not None
        folder = self.finished.folder(problem.id, method)
        if self.export:
            check_card_place(folder)
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
            progress=self._logs(),
        )
        if self.export:
            found.export(
                folder,
                onnx=self.export == "onnx",
                int8=problem.test if self.export == "int8" else None,
                command=f"lit-metanas search -c {shlex.quote(self.config)}" if self.config else "",
            )
        else:
            write_weights(folder / "weights.pt", found.network.state_dict())
        write_predictions(folder / PREDICTIONS, found.predictions)
        return comparison_row(
            problem,
            found,
            method=method,
            seed=self.seed,
            config=self.config,
            weights=(folder / "weights.pt").relative_to(self.directory).as_posix(),
        )

    def _logs(self) -> bool:
        """Whether the search of a task writes to a log: on a terminal the Trainer's bar counts tasks."""
        bar = self.trainer.progress_bar_callback
        return bar is not None and self.trainer.is_global_zero and not Console(stderr=True).is_terminal


def comparison_row(
    task: Task, found: SearchResult, *, method: str, seed: int, config: str = "", weights: str = ""
) -> ComparisonRow:
    """The rows of tables and files of what was found for a task.

    Args:
        task: that was searched.
        found: with which result.
        method: the row's name in tables.
        seed: of the search.
        config: where the run's configuration is kept.
        weights: file of the network's weights, relative to that of the rows.
    """
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
        curve=() if found.ordinal else found.record.curve,
        front=() if found.ordinal else found.record.trade_offs,
        ensemble=found.ensemble,
        linear=found.linear,
        stopped=found.stopped,
        hardware=hardware(),
        config=config,
    )
    return ComparisonRow.of(
        result,
        found.record,
        value=found.val_score,
        metric=f"validation {found.metric}",
        shape=task.shape,
        way=task.way,
        classes=task.classes,
        weights=weights,
    )


def _protocol(task: Task, network: nn.Module) -> Protocol:
    """Of a task without classes both numbers are 0."""
    way = task.way if isinstance(task.goal, Classification) else 0
    return Protocol("target", way, len(task.train) // way if way else 0, "running" if batch_norms(network) else "")


def task_settings(task: Task) -> dict[str, object]:
    """What tells a task from another of the same id."""
    splits = {"train": task.train, "val": task.val, "test": task.test}
    digests = {name: split and tensor_digest(split.inputs, split.labels) for name, split in splits.items()}
    goal = {} if task.objective is None else {"objective": settings_of(task.objective)}
    return {"id": task.id, "way": task.way, "classes": list(task.classes), **digests, **goal}
