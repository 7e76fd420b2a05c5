"""The search space of the same choices for all kinds of input."""

from lit_metanas.spaces.any_input.any_input_space import AnyInputSpace

__all__ = ["AnyInputSpace"]
