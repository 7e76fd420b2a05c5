"""Predictions of a trained network on test examples, in a form that a person can read."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN_MARK = "[…]"
"""Replaces words in a text that the network's vocabulary lacks."""

LONGEST_ROW, MOST_ROWS = 4_096, 4_096
"""Most numbers in a row of a picture, and most rows."""


@dataclass(frozen=True)
class ShownPrediction:
    """The prediction of a network for one test example.

    Attributes:
        said: the prediction, in words.
        meant: the right answer.
        right: whether the two are the same.
        example: the example as a text; empty if a picture shows it.
        picture: the example as rows of pixels, the uppermost first: each level from 0 to 255 as two hexadecimal
            digits, three levels a pixel for a coloured picture; empty if a text shows it.
        coloured: whether the picture is coloured.
        series: whether the picture shows a series, its steps from left to right and its first feature at the bottom.

    Raises:
        ValueError: the picture is malformed or too large.

    Example:
        >>> import lit_metanas as lm
        >>> lm.records.ShownPrediction("mail", "letter", False, picture=("00ff", "ff00")).levels()
        [[0, 255], [255, 0]]
    """

    said: str
    meant: str
    right: bool
    example: str = ""
    picture: tuple[str, ...] = ()
    coloured: bool = False
    series: bool = False

    def __post_init__(self) -> None:
        digits = 6 if self.coloured else 2
        widths = {len(row) for row in self.picture}
        if len(widths) > 1 or any(width % digits or not width for width in widths):
            raise ValueError("the rows of its picture are not of one length")
        if len(self.picture) > MOST_ROWS or any(width > 2 * LONGEST_ROW for width in widths):
            raise ValueError(f"its picture has more than {MOST_ROWS} rows, or {LONGEST_ROW} levels in a row")
        if not all(re.fullmatch("[0-9a-f]+", row) for row in self.picture):
            raise ValueError("its picture is not one of hexadecimal digits")

    def levels(self) -> list[list[int]] | list[list[list[int]]]:
        """The picture's levels by row and pixel, and by channel for a coloured picture."""
        rows = [list(bytes.fromhex(row)) for row in self.picture]
        if not self.coloured:
            return rows
        return [[row[at : at + 3] for at in range(0, len(row), 3)] for row in rows]
