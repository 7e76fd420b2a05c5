"""Methods compared on problems under one budget: each pair runs once, and its result is kept at once."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import torch
from lightning.pytorch import LightningModule
from torch import distributed

from lit_metanas.io.files import has_content, own_path, write_whole
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.own_folder import check_files, check_tree, own_folder
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import short_number
from lit_metanas.records.record import SearchRecord
from lit_metanas.records.record_lines import merge_record_lines, read_record_lines, write_record_lines
from lit_metanas.records.result_files import (
    merge_architectures,
    merge_results,
    read_architectures,
    read_results,
    write_architectures,
    write_results,
)
from lit_metanas.records.rows import ArchitectureRow, ResultRow
from lit_metanas.searchers.query.query_searcher import QuerySearcher
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.training.preemption import end_at_sigterm

Problem = TypeVar("Problem")
Method = TypeVar("Method", bound=Searcher)

PATIENCE = timedelta(days=100)
"""The longest time that a finished process waits for the others."""


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
        *,
        methods: dict[str, Method],
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
    def settings(self) -> Mapping[str, Any]:
        """Settings that all pairs share, apart from budget and seed, as plain values."""

    @abstractmethod
    def name(self, problem: Problem) -> str:
        """The problem's name in all files."""

    @abstractmethod
    def problem_settings(self, problem: Problem) -> Mapping[str, Any]:
        """Plain values that distinguish a problem from another of the same name."""

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
        check_directory(self.directory, {**self.settings(), "budget": budget, "seed": self.seed})

    def predict_step(self, batch: Problem, batch_idx: int) -> dict[str, float]:
        """Run every method on one problem; returns the scores by method, as Lightning loses whole rows."""
        done: list[ComparisonRow] = []
        # Prediction runs without gradients, which a search needs.
        with torch.inference_mode(False), torch.enable_grad():
            name, shared = self.name(batch), self.problem_settings(batch)
            for method, searcher in self.methods.items():
                folder, settings = self.folder(name, method), _text({"method": settings_of(searcher), **shared})
                pair = read_pair(folder, settings)
                if pair is None:
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
            merge_results(self.directory / "results.json", self.results)
            merge_architectures(self.directory / "architectures.json", [pair.chosen for pair in pairs])
            # A search without any score leaves no record.
            if scored := [record for record in self.records if _has_score(record)]:
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


def _has_score(record: SearchRecord) -> bool:
    return any(trial.scored and isfinite(trial.value) for trial in record.trials)


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True)


def _file_name(text: str) -> str:
    """A file name for any text, one to one."""
    quoted = quote(text, safe=" ")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
