"""What holds for all kinds of input: linear models, and the default space of each."""

from lit_metanas.spaces.any_input.default_space import LINEAR_SPACES, default_space, linear_space_of
from lit_metanas.spaces.any_input.kernel_space import KernelSpace
from lit_metanas.spaces.any_input.ngram_space import NGramSpace
from lit_metanas.spaces.any_input.patch_space import PatchSpace
from lit_metanas.spaces.any_input.rocket_space import RocketSpace
from lit_metanas.spaces.any_input.solved_models import SolvedModels, is_solved

__all__ = [
    "LINEAR_SPACES",
    "KernelSpace",
    "NGramSpace",
    "PatchSpace",
    "RocketSpace",
    "SolvedModels",
    "default_space",
    "is_solved",
    "linear_space_of",
]
