"""Searchers of one task under a budget."""

from lit_metanas.searchers.halving import EvolvingHalving, FrontHalving, Halving, SuccessiveHalving
from lit_metanas.searchers.query import QuerySearcher, record_of
from lit_metanas.searchers.samplers import MetaSampler, PortfolioSampler, RegularisedEvolution
from lit_metanas.searchers.searcher import (
    FixedArchitecture,
    MetaSearchedArchitecture,
    RandomArchitecture,
    Searcher,
)
from lit_metanas.searchers.supernet_searchers import DARTSSearcher, ENASSearcher

__all__ = [
    "DARTSSearcher",
    "ENASSearcher",
    "EvolvingHalving",
    "FixedArchitecture",
    "FrontHalving",
    "Halving",
    "MetaSampler",
    "MetaSearchedArchitecture",
    "PortfolioSampler",
    "QuerySearcher",
    "RandomArchitecture",
    "RegularisedEvolution",
    "Searcher",
    "SuccessiveHalving",
    "record_of",
]
