"""Successive halving."""

from lit_metanas.searchers.halving.front_halving import FrontHalving
from lit_metanas.searchers.halving.rungs import Halving
from lit_metanas.searchers.halving.successive_halving import EvolvingHalving, SuccessiveHalving

__all__ = ["EvolvingHalving", "FrontHalving", "Halving", "SuccessiveHalving"]
