"""Optuna samplers."""

from lit_metanas.searchers.samplers.history_sampler import RegularisedEvolution
from lit_metanas.searchers.samplers.meta_sampler import MetaSampler
from lit_metanas.searchers.samplers.portfolio_sampler import PortfolioSampler

__all__ = ["MetaSampler", "PortfolioSampler", "RegularisedEvolution"]
