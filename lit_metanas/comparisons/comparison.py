"""Methods compared on problems under one budget: each pair runs once, and its result is kept at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Generic, TypeVar

import torch
from lightning.pytorch import LightningModule
from torch import distributed

from lit_metanas.comparisons.finished_pairs import ComparisonRow, FinishedPairs
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import short_number
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import SearchRecord
from lit_metanas.records.rows import ResultRow
from lit_metanas.searchers.query.query_searcher import QuerySearcher
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.training.preemption import end_at_sigterm

Problem = TypeVar("Problem")
Method = TypeVar("Method", bound=Searcher)

PATIENCE = timedelta(days=100)
"""The longest time that a finished process waits for the others."""


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
        self.finished: FinishedPairs | None = None
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
        """Lock the directory and read its finished pairs; from now on SIGTERM ends the search."""
        end_at_sigterm(self.trainer)
        budget = {"flops": self.flops, "queries": self.queries}
        self.pairs, self.results, self.records, self._anew = [], (), (), 0
        self._lock.close()
        self._lock.enter_context(directory_lock(self.directory, "search", "model.init_args.directory"))
        if self.trainer.world_size > 1:
            # Problems differ: who is done may wait for others for longer than a group of processes usually does.
            self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        self.finished = FinishedPairs(self.directory, {**self.settings(), "budget": budget, "seed": self.seed})

    def predict_step(self, batch: Problem, batch_idx: int) -> dict[str, float]:
        """Run every method on one problem; returns the scores by method, as Lightning loses whole rows."""
        assert self.finished is not None
        done: list[ComparisonRow] = []
        # Prediction runs without gradients, which a search needs.
        with torch.inference_mode(False), torch.enable_grad():
            name, shared = self.name(batch), self.problem_settings(batch)
            for method, searcher in self.methods.items():
                settings = {"method": settings_of(searcher), **shared}
                pair = self.finished.read(name, method, settings)
                if pair is None:
                    self._anew += 1
                    pair = self.run_method(batch, method, searcher)
                    self.finished.write(pair, settings)
                done.append(pair)
        self.pairs += done
        return {pair.result.method: pair.result.value for pair in done}

    def on_predict_epoch_end(self) -> None:
        """Write the rows of all processes, by problem and method."""
        gathered = [(self.pairs, self._anew)] * self.trainer.world_size
        if self._group is not None:
            distributed.all_gather_object(gathered, (self.pairs, self._anew), group=self._group)
        if self.trainer.is_global_zero:
            self._conclude([pair for pairs, _ in gathered for pair in pairs], sum(anew for _, anew in gathered))
        self._lock.close()

    def budget(self) -> Budget:
        """A new budget for one search."""
        return Budget(queries=self.queries, flops=self.flops)

    def _conclude(self, pairs: list[ComparisonRow], anew: int) -> None:
        order = {method: place for place, method in enumerate(self.methods)}
        pairs.sort(key=lambda pair: (pair.result.task_id, order[pair.result.method]))
        assert self.finished is not None
        self.finished.conclude(pairs)
        self.results = tuple(pair.result for pair in pairs)
        self.records = tuple(pair.whole_record for pair in pairs)
        if anew:
            return
        what, were = "The search", "was"
        if len(pairs) > 1:
            what, were = f"All {len(pairs)} searches", "were"
        print(f"{what} in '{self.directory}' {were} already finished: nothing was done.")


def _check_studies(methods: Mapping[str, Searcher]) -> None:
    """Refuse two methods with the same study: the second would take the first one's trials for its own."""
    owners: dict[tuple[str, str], str] = {}
    for name, searcher in methods.items():
        if not isinstance(searcher, QuerySearcher) or searcher.storage is None:
            continue
        owner = owners.setdefault((searcher.storage, searcher.study), name)
        if owner != name:
            raise ValueError(
                f"Methods '{owner}' and '{name}' have one study in one storage: give each another name in 'study'."
            )
