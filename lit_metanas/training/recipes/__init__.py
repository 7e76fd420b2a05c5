"""How a child network is trained on one task."""

from lit_metanas.training.recipes.recipe import Recipe

__all__ = ["Recipe"]
