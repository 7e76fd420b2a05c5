"""Bilevel meta-training of weights and architecture logits."""

from lit_metanas.training.architecture_logits import ArchitectureSchedule
from lit_metanas.training.meta_search.episode_evaluation import AdaptedLogits
from lit_metanas.training.meta_search.meta_learned import MetaLearned
from lit_metanas.training.meta_search.meta_recipe import MetaRecipe
from lit_metanas.training.meta_search.meta_search import MetaSearch

__all__ = ["AdaptedLogits", "ArchitectureSchedule", "MetaLearned", "MetaRecipe", "MetaSearch"]
