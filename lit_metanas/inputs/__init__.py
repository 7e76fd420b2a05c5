"""What networks get: the shapes of inputs, their padding, and what makes them of raw examples."""

from lit_metanas.inputs.preprocessing import Preprocessing, TextPreprocessing
from lit_metanas.inputs.shapes import ImageShape, RowShape, SeriesShape, Shape, TextRowShape, TokenShape, shape_of

__all__ = [
    "ImageShape",
    "Preprocessing",
    "RowShape",
    "SeriesShape",
    "Shape",
    "TextPreprocessing",
    "TextRowShape",
    "TokenShape",
    "shape_of",
]
