"""Searchers that train a supernet."""

from lit_metanas.searchers.weight_sharing.supernet_searchers import ENAS, OneShot, WeightSharingSearcher

__all__ = ["ENAS", "OneShot", "WeightSharingSearcher"]
