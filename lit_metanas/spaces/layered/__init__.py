"""The layered search space."""

from lit_metanas.spaces.layered.layered_space import LayeredSpace

__all__ = ["LayeredSpace"]
