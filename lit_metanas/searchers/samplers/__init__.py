"""Optuna samplers."""

from lit_metanas.searchers.samplers.evolution import LocalSearch, RegularisedEvolution
from lit_metanas.searchers.samplers.meta_sampler import MetaSampler

__all__ = ["LocalSearch", "MetaSampler", "RegularisedEvolution"]
