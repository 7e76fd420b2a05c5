"""Searches by queries: Optuna studies."""

from lit_metanas.searchers.query.query_searcher import QuerySearcher

__all__ = ["QuerySearcher"]
