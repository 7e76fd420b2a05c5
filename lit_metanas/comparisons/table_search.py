"""Query searchers on the data sets of a tabular benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from time import perf_counter
from typing import Any

from lit_metanas.comparisons.comparison import Comparison, ComparisonRow
from lit_metanas.estimators.tabular import Table, TabularEstimator
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import hardware
from lit_metanas.records.budget import Budget
from lit_metanas.records.rows import Protocol, ResultRow
from lit_metanas.searchers.query.query_searcher import QuerySearcher


class TableSearch(Comparison[Table, QuerySearcher]):
    """Searches each table with each method by scores that are looked up: no images, and no training.

    A result's value is the table's ``test`` score of the chosen architecture, which no search sees. The anytime curve
    counts queries. A search that was interrupted continues when it is started again in its directory.

    Args:
        methods: the searchers, by their name in tables; the table is their estimator.
        signal: the score that a search sees, such as ``val_200``.
        test: the score that judges its choice, such as ``test_200``.
        queries: architectures that each search may look up; a known one costs nothing. None is no limit.
        flops: training FLOPs that the table's authors paid for the architectures; None is no limit.
        seed: seed of all searches.
        directory: folder of results and architectures.
        config: path of the run's saved configuration.

    Attributes:
        results: a row for each table and method, of all processes, on the first one, once the search has ended.

    Raises:
        ValueError: there are no methods, or one has an estimator of its own.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> class Kernels(lm.estimators.Table):
        ...     space, dataset, signals = lm.LayeredSpace(shared=True), "toy", ("val", "test")
        ...     def score(self, architecture, signal):
        ...         return int(architecture["kernel"]) / 10
        >>> trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
        >>> with TemporaryDirectory() as folder:
        ...     methods = {"random": lm.searchers.QuerySearcher()}
        ...     comparison = lm.comparisons.TableSearch(
        ...         methods=methods, signal="val", test="test", queries=10, directory=folder
        ...     )
        ...     trainer.predict(comparison, DataLoader([Kernels()], batch_size=None, collate_fn=lambda one: one))
        [{'random': 0.7}]
    """

    def __init__(
        self,
        *,
        methods: dict[str, QuerySearcher],
        signal: str,
        test: str,
        queries: int | None = 100,
        flops: float | None = None,
        seed: int = 0,
        directory: str = "search",
        config: str = "",
    ) -> None:
        super().__init__(methods=methods, flops=flops, queries=queries, seed=seed, directory=directory, config=config)
        own = [name for name, searcher in methods.items() if searcher.estimator is not None]
        if own:
            raise ValueError(f"Method '{own[0]}' has an estimator, but the table gives the scores: leave it out.")
        self.signal = signal
        self.test = test

    def settings(self) -> Mapping[str, Any]:
        """The signals."""
        return {"signal": self.signal, "test": self.test}

    def name(self, problem: Table) -> str:
        """The data set."""
        return problem.dataset

    def problem_settings(self, problem: Table) -> Mapping[str, Any]:
        """The table's source and space."""
        return {"table": settings_of(problem), "space": settings_of(problem.space)}

    def run_method(self, problem: Table, method: str, searcher: QuerySearcher) -> ComparisonRow:
        """Search, and look up the score of the choice."""
        problem.check_signal(self.test)
        estimator = TabularEstimator(problem, self.signal)
        budget, begin = Budget(queries=self.queries, flops=self.flops), perf_counter()
        found = searcher.run(estimator, problem.space, budget, self.seed, problem=problem.dataset)
        cost = replace(budget.spent, seconds=perf_counter() - begin)
        known = problem.measures
        size = {name: round(known[name](found.architecture)) for name in ("parameters", "flops") if name in known}
        space = problem.space.name
        result = ResultRow(
            method=method,
            task_id=problem.dataset,
            space=space,
            architecture=found.architecture,
            recipe={},
            seed=self.seed,
            protocol=Protocol(f"{space} on {problem.dataset}: {self.test} by {self.signal}", 0, 0, "", "queries"),
            value=problem.score(found.architecture, self.test),
            ci95=nan,
            cost=cost,
            meta_cost=searcher.meta_cost + found.meta_cost,
            parameters=size.get("parameters", 0),
            flops=size.get("flops", 0),
            curve=found.record.curve_over("queries"),
            front=found.record.trade_offs,
            hardware=hardware(),
            config=self.config,
        )
        value = found.record.value_of(found.architecture, {})
        return ComparisonRow.of(result, found.record, value=value, metric=self.signal)
