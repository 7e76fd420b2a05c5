"""The query searchers that the tabular benchmarks compare."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from lit_metanas.estimators import Estimator
from lit_metanas.records import Budget, SearchRecord
from lit_metanas.searchers import QuerySearcher, RegularisedEvolution
from lit_metanas.spaces import ChoiceSpace

POPULATION, SAMPLE = 20, 5
"""Of the evolution, as in the comparisons of NAS-Bench-201."""

SEARCHERS: dict[str, Callable[[ChoiceSpace], BaseSampler]] = {
    "random": lambda space: RandomSampler(),
    "TPE": lambda space: TPESampler(),
    "evolution": lambda space: RegularisedEvolution(population=POPULATION, sample=SAMPLE, seed=0, space=space),
    "NSGA-II": lambda space: NSGAIISampler(population_size=POPULATION),
    "GP": lambda space: GPSampler(),
}
"""Makes the sampler of each; its seed comes with the search."""

QUICK = ("random", "TPE", "evolution")
"""Those that take milliseconds a query. NSGA-II proposes duplicates by hundreds once its population is of one kind."""


def search(
    name: str, estimator: Estimator, space: ChoiceSpace, queries: int, seed: int, *, problem: str
) -> SearchRecord:
    """The record of one search. Isomorphs of what was tried cost nothing and are not counted."""
    searcher = QuerySearcher(sampler=SEARCHERS[name](space), patience=1000)
    return searcher.run(estimator, space, Budget(queries=queries), seed, problem=problem).record
