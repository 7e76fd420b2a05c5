"""Spaces for all kinds of input, of the same choices or of linear classifiers, and the default space of each."""

from lit_metanas.spaces.any_input.any_input_space import AnyInputSpace, default_space
from lit_metanas.spaces.any_input.linear_space import LinearSpace

__all__ = ["AnyInputSpace", "LinearSpace", "default_space"]
