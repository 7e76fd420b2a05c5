"""Multilayer perceptrons for rows of a table, of numbers alone or with a text."""

from lit_metanas.spaces.mlp.mlp_space import MLPSpace, TextRowSpace

__all__ = ["MLPSpace", "TextRowSpace"]
