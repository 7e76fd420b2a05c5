"""Multilayer perceptrons for rows of a table, of numbers alone or with a text."""

from lit_metanas.spaces.mlp.mlp_space import MLPSpace
from lit_metanas.spaces.mlp.text_row_space import TextRowSpace

__all__ = ["MLPSpace", "TextRowSpace"]
