"""Searchers that train a supernet."""

from lit_metanas.searchers.weight_sharing.supernet_searchers import DARTSSearcher, ENASSearcher, OneShotSearcher

__all__ = ["DARTSSearcher", "ENASSearcher", "OneShotSearcher"]
