"""How one task is searched under a budget."""

from lit_metanas.searchers.enas import ENAS
from lit_metanas.searchers.evolving_halving import EvolvingHalving
from lit_metanas.searchers.fixed import Borrowed, FixedArchitecture, RandomArchitecture
from lit_metanas.searchers.halving import Halving
from lit_metanas.searchers.local_search import LocalSearch
from lit_metanas.searchers.meta_sampler import MetaSampler
from lit_metanas.searchers.meta_searched import MetaSearched
from lit_metanas.searchers.one_shot import OneShot
from lit_metanas.searchers.query import QuerySearcher
from lit_metanas.searchers.regularised_evolution import RegularisedEvolution
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.searchers.source_search import SourceSearch
from lit_metanas.searchers.successive_halving import SuccessiveHalving
from lit_metanas.searchers.table_search import TableSearch
from lit_metanas.searchers.target_search import TargetSearch
from lit_metanas.searchers.weight_sharing import WeightSharingSearcher

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
    "SourceSearch",
    "SuccessiveHalving",
    "TableSearch",
    "TargetSearch",
    "WeightSharingSearcher",
]
