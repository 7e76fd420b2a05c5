"""What holds for all kinds of input: linear models, and the default space of each."""

from lit_metanas.spaces.any_input.default_space import default_space
from lit_metanas.spaces.any_input.linear_space import LinearSpace
from lit_metanas.spaces.any_input.ngram_space import NGramSpace, linear_space_of

__all__ = ["LinearSpace", "NGramSpace", "default_space", "linear_space_of"]
