"""Searches by queries: Optuna studies."""

from lit_metanas.searchers.query.query_searcher import QuerySearcher
from lit_metanas.searchers.query.study import record_of

__all__ = ["QuerySearcher", "record_of"]
