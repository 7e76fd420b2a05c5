"""A search space of the same choices for all kinds of input, and the default space of each."""

from lit_metanas.spaces.any_input.any_input_space import AnyInputSpace
from lit_metanas.spaces.any_input.default_space import default_space

__all__ = ["AnyInputSpace", "default_space"]
