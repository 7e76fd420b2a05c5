"""Methods compared on problems under one budget, each pair once; the problems may be tables of a benchmark."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from math import isfinite, nan
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import torch
from lightning.pytorch import LightningModule
from torch import distributed

from lit_metanas.estimators.tabular import Table, TabularEstimator
from lit_metanas.io.files import check_files, check_tree, has_content, own_folder, own_path, write_whole
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import hardware, short_number
from lit_metanas.records import (
    ArchitectureRow,
    Budget,
    Protocol,
    ResultRow,
    SearchRecord,
    merge_record_lines,
    read_record_lines,
    write_record_lines,
)
from lit_metanas.records.result_files import (
    merge_row_file,
    read_architectures,
    read_results,
    write_architectures,
    write_results,
)
from lit_metanas.searchers import QuerySearcher, Searcher
from lit_metanas.training.preemption import end_at_sigterm

Problem = TypeVar("Problem")
Method = TypeVar("Method", bound=Searcher)

PATIENCE = timedelta(days=100)  # the longest time that a finished process waits for the others


class ComparisonRow(NamedTuple):
    """The result of one method on one task, the chosen architecture, and the record of the search."""

    result: ResultRow
    chosen: ArchitectureRow
    record: SearchRecord

    @classmethod
    def of(cls, result: ResultRow, record: SearchRecord, *, value: float, metric: str) -> ComparisonRow:
        """Make the row of the architecture from that of the result; ``value`` and ``metric`` are those that chose."""
        assert result.architecture is not None
        chosen = ArchitectureRow(
            task_id=result.task_id,
            method=result.method,
            space=result.space,
            architecture=result.architecture,
            value=value,
            seed=result.seed,
            metric=metric,
            cost=result.cost,
            recipe=result.recipe,
            shape=(0, 0, 0),
            ensemble=result.ensemble,
            linear=result.linear,
        )
        # A searcher knows neither the name that it has in the comparison nor, of some spaces, the space's.
        space = record.space or result.space
        return cls(result, chosen, replace(record, method=result.method, seed=result.seed, space=space))


class Comparison(LightningModule, ABC, Generic[Problem, Method]):
    """Runs each method on each problem under the same budget; a restarted comparison skips finished pairs."""

    def __init__(
        self,
        methods: dict[str, Method],
        settings: Mapping[str, Any],
        flops: float | None,
        queries: int | None,
        seed: int,
        directory: str,
        config: str,
    ) -> None:
        super().__init__()
        if not methods:
            raise ValueError(f"{type(self).__name__} has no methods: give at least one searcher with its name.")
        if not 0 <= seed < 2**63:
            raise ValueError(f"{type(self).__name__}: seed = {short_number(seed)} must be at least 0, and below 2**63.")
        _check_studies(methods)
        self.methods = methods
        self.settings = settings  # that all pairs share, apart from budget and seed, as plain values
        self.flops, self.queries = flops, queries
        self.seed = seed
        self.directory = own_path(directory, "directory")
        self.config = config
        self.pairs: list[ComparisonRow] = []
        self.results: tuple[ResultRow, ...] = ()
        self.records: tuple[SearchRecord, ...] = ()
        self._anew = 0
        self._group: Any = None
        self._lock = ExitStack()

    @abstractmethod
    def identify(self, problem: Problem) -> tuple[str, Mapping[str, Any]]:
        """The problem's name in all files, and plain values that distinguish it from another of the same name."""

    @abstractmethod
    def run_method(self, problem: Problem, method: str, searcher: Method) -> ComparisonRow:
        """The result of one method on one problem."""

    def on_predict_start(self) -> None:
        """Lock and check the directory; from now on SIGTERM ends the search."""
        end_at_sigterm(self.trainer)
        self.pairs, self.results, self.records, self._anew = [], (), (), 0
        self._lock.close()
        self._lock.enter_context(directory_lock(self.directory, "search", "model.init_args.directory"))
        if self.trainer.world_size > 1:
            # Problems differ: who is done may wait for others for longer than a group of processes usually does.
            self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        budget = {"flops": self.flops, "queries": self.queries}
        check_directory(self.directory, {**self.settings, "budget": budget, "seed": self.seed})

    def predict_step(self, batch: Problem, batch_idx: int) -> dict[str, float]:
        """Run every method on one problem; returns the scores by method, as Lightning loses whole rows."""
        done: list[ComparisonRow] = []
        # Prediction runs without gradients, which a search needs.
        with torch.inference_mode(False), torch.enable_grad():
            name, shared = self.identify(batch)
            for method, searcher in self.methods.items():
                folder, settings = self.folder(name, method), _text({"method": settings_of(searcher), **shared})
                if (pair := read_pair(folder, settings)) is None:
                    self._anew += 1
                    pair = self.run_method(batch, method, searcher)
                    write_pair(folder, pair, settings)
                done.append(pair)
        self.pairs += done
        return {pair.result.method: pair.result.value for pair in done}

    def folder(self, problem: str, method: str) -> Path:
        """The folder of one pair, and of its child network."""
        return own_folder(self.directory, "children", _file_name(problem), _file_name(method))

    def on_predict_epoch_end(self) -> None:
        """Write the rows of all processes, by problem and method."""
        gathered = [(self.pairs, self._anew)] * self.trainer.world_size
        if self._group is not None:
            distributed.all_gather_object(gathered, (self.pairs, self._anew), group=self._group)
        if self.trainer.is_global_zero:
            pairs, order = [pair for pairs, _ in gathered for pair in pairs], list(self.methods)
            pairs.sort(key=lambda pair: (pair.result.task_id, order.index(pair.result.method)))
            self.results = tuple(pair.result for pair in pairs)
            self.records = tuple(pair.record for pair in pairs)
            merge_row_file(self.directory / "results.json", ResultRow, self.results)
            merge_row_file(self.directory / "architectures.json", ArchitectureRow, [pair.chosen for pair in pairs])
            # A search without any score leaves no record.
            scored = [one for one in self.records if any(each.scored and isfinite(each.value) for each in one.trials)]
            if scored:
                merge_record_lines(self.directory / "records.jsonl", scored)
            if not any(anew for _, anew in gathered):
                print(f"The search in '{self.directory}' was already finished: nothing was done.")
        self._lock.close()


def _check_studies(methods: Mapping[str, Searcher]) -> None:
    """Refuse two methods with the same study: the second would take the first one's trials for its own."""
    stored = {name: one for name, one in methods.items() if isinstance(one, QuerySearcher) and one.storage is not None}
    for one, other in combinations(stored, 2):
        if (stored[one].storage, stored[one].study) == (stored[other].storage, stored[other].study):
            raise ValueError(
                f"Methods '{one}' and '{other}' have one study in one storage: give each another name in 'study'."
            )


def check_directory(directory: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a directory of a search with other settings, or with links in place of files."""
    check_files(directory, ("search.json", "results.json", "architectures.json", "records.jsonl"))
    check_tree(own_folder(directory, "children"))
    text, file = _text(settings), directory / "search.json"
    if file.is_file() and not has_content(file, text.encode()):
        raise ValueError(
            f"'{directory}' holds a search with another space, recipe, budget or seed (see '{file.name}'): give "
            "another directory, or delete this one."
        )
    write_whole(file, text)


def read_pair(folder: Path, settings: str) -> ComparisonRow | None:
    """A pair that was finished under the same settings, or None; under others it is unmarked."""
    result = folder / "result.json"
    if not result.is_file():
        return None
    if not has_content(folder / "settings.json", settings.encode()):
        result.unlink()
        return None
    try:
        (record,) = read_record_lines(folder / "record.jsonl")
        (row,), (chosen,) = read_results(result), read_architectures(folder / "architecture.json")
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(
            f"The kept files of '{folder.name}' on task '{folder.parent.name}' are damaged: delete '{folder}', and run "
            f"the same command again ({error})."
        ) from None
    return ComparisonRow(row, chosen, record)


def write_pair(folder: Path, pair: ComparisonRow, settings: str) -> None:
    """Keep a pair; the result comes last, as it marks the pair as finished."""
    write_architectures(folder / "architecture.json", [pair.chosen])
    write_record_lines(folder / "record.jsonl", [pair.record])
    write_whole(folder / "settings.json", settings)
    write_results(folder / "result.json", [pair.result])


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True)


def _file_name(text: str) -> str:
    """A file name for any text, one to one."""
    quoted = quote(text, safe=" ")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


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
        super().__init__(methods, {"signal": signal, "test": test}, flops, queries, seed, directory, config)
        if own := [name for name, searcher in methods.items() if searcher.estimator is not None]:
            raise ValueError(f"Method '{own[0]}' has an estimator, but the table gives the scores: leave it out.")
        self.signal = signal
        self.test = test

    def identify(self, problem: Table) -> tuple[str, Mapping[str, Any]]:
        """The data set; the table's source and space."""
        return problem.dataset, {"table": settings_of(problem), "space": settings_of(problem.space)}

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
        return ComparisonRow.of(
            result, found.record, value=found.record.value_of(found.architecture, {}), metric=self.signal
        )
