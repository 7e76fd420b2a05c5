"""What holds for all kinds of input: linear classifiers of plain features, and the default space of each."""

from lit_metanas.spaces.any_input.default_space import default_space
from lit_metanas.spaces.any_input.linear_space import LinearSpace

__all__ = ["LinearSpace", "default_space"]
