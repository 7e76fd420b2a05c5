"""How one task is searched under a budget."""

from lit_metanas.searchers.fixed import Borrowed, FixedArchitecture, MetaSearched, RandomArchitecture
from lit_metanas.searchers.halving import EvolvingHalving, Halving, SuccessiveHalving
from lit_metanas.searchers.query import QuerySearcher
from lit_metanas.searchers.samplers import LocalSearch, MetaSampler, RegularisedEvolution
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.searchers.weight_sharing import ENAS, OneShot, WeightSharingSearcher

__all__ = [
    "ENAS",
    "Borrowed",
    "EvolvingHalving",
    "FixedArchitecture",
    "Halving",
    "LocalSearch",
    "MetaSampler",
    "MetaSearched",
    "OneShot",
    "QuerySearcher",
    "RandomArchitecture",
    "RegularisedEvolution",
    "Searcher",
    "SuccessiveHalving",
    "WeightSharingSearcher",
]
