"""Multilayer perceptrons for rows of a numeric table."""

from lit_metanas.spaces.mlp.mlp_space import MLPSpace

__all__ = ["MLPSpace"]
