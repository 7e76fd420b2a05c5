"""Kinds of input: images, series of feature vectors, tokens, rows of numbers, perhaps with a text; their padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from lit_metanas.io.text import number_of

PADDING = 0  # the token behind the end of a sequence; none within it is this one


class ImageShape(NamedTuple):
    """The shape of an image: a tensor of shape ``(channels, height, width)``, float32 in [0, 1].

    Attributes:
        channels: 1 where images are grey, 3 where they are coloured.
        height: in pixels.
        width: in pixels.

    Example:
        >>> lm.ImageShape(3, 32, 32) == (3, 32, 32)
        True
    """

    channels: int
    height: int
    width: int


class SeriesShape(NamedTuple):
    """The shape of a series of feature vectors, such as sound: a tensor of shape ``(features, steps)``, float32.

    Attributes:
        features: numbers of each step. The last of them is the mask: 1 up to the end of an example, and 0, as all other
            features, behind it.
        steps: the most that an example has.

    Example:
        >>> series = torch.rand(2, 4, 10)
        >>> series[:, -1] = 1.0
        >>> lm.inputs.shape_of(series)
        SeriesShape(features=4, steps=10)
    """

    features: int
    steps: int


class TokenShape(NamedTuple):
    """The shape of a sequence of tokens, such as text: a tensor of shape ``(steps,)``, int64.

    Attributes:
        vocabulary: number of tokens, from ``PADDING``, which stands behind the end of an example, to
            ``vocabulary - 1``.
        steps: the most that an example has.

    Example:
        >>> lm.inputs.shape_of(torch.tensor([[4, 2, 0], [3, 3, 3]]), vocabulary=5)
        TokenShape(vocabulary=5, steps=3)
    """

    vocabulary: int
    steps: int


class RowShape(NamedTuple):
    """The shape of a row of a numeric table: a tensor of shape ``(numbers,)``, float32.

    Attributes:
        numbers: of each row, as a network gets them. A preprocessing may make more of a row than it has columns.

    Example:
        >>> lm.inputs.shape_of(torch.rand(5, 3))
        RowShape(numbers=3)
    """

    numbers: int


class TextRowShape(NamedTuple):
    """The shape of a row of a table that has a text, too: a tensor of shape ``(numbers + steps,)``, float32.

    The numbers come first, and then the tokens of the text, which float32 holds exactly up to 2²⁴.

    Attributes:
        numbers: of each row, as a network gets them.
        vocabulary: number of tokens, as in ``TokenShape``.
        steps: the most tokens that a text has.

    Example:
        >>> numbers, tokens = lm.inputs.TextRowShape(2, 50, 3).split(torch.tensor([[0.5, -1.0, 7.0, 49.0, 0.0]]))
        >>> numbers.tolist(), tokens.tolist()
        ([[0.5, -1.0]], [[7, 49, 0]])
    """

    numbers: int
    vocabulary: int
    steps: int

    @property
    def row(self) -> RowShape:
        """Of the numbers."""
        return RowShape(self.numbers)

    @property
    def text(self) -> TokenShape:
        """Of the tokens."""
        return TokenShape(self.vocabulary, self.steps)

    def split(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers ``(n, numbers)`` and tokens ``(n, steps)``, int64, of inputs ``(n, numbers + steps)``."""
        return inputs[:, : self.numbers], inputs[:, self.numbers :].long()


KindShape = ImageShape | SeriesShape | TokenShape | RowShape | TextRowShape  # a shape that has its kind

Shape = KindShape | tuple[int, int, int]
"""Of one input; three plain numbers are those of an image."""

_KINDS: dict[str, type[KindShape]] = {
    "": ImageShape,
    "series": SeriesShape,
    "tokens": TokenShape,
    "row": RowShape,
    "row with text": TextRowShape,
}


def shape_of(inputs: Tensor, vocabulary: int | None = None) -> KindShape:
    """The shape of one of some inputs.

    Args:
        inputs: shape ``(n, channels, height, width)``, ``(n, features, steps)``, or ``(n, steps)`` of whole numbers, or
            ``(n, numbers)`` in floating point.
        vocabulary: number of tokens, where inputs are such.

    Raises:
        ValueError: they are no inputs, or tokens without their number.

    Example:
        >>> lm.inputs.shape_of(torch.rand(5, 1, 28, 28))
        ImageShape(channels=1, height=28, width=28)
    """
    size = tuple(inputs.shape[1:])
    if len(size) == 3:
        return ImageShape(*size)
    if len(size) == 2:
        return SeriesShape(*size)
    if len(size) == 1 and inputs.is_floating_point():
        return RowShape(*size)
    if len(size) == 1 and vocabulary is not None:
        return TokenShape(vocabulary, *size)
    raise ValueError(
        f"Inputs have the shape {tuple(inputs.shape)} and type {inputs.dtype}: give images (n, channels, height, "
        "width), series (n, features, steps), rows of numbers (n, numbers), or tokens (n, steps) as whole numbers with "
        "their 'vocabulary'."
    )


def as_shape(shape: Sequence[int]) -> KindShape:
    """A shape that has its kind."""
    if isinstance(shape, KindShape):
        return shape
    if len(shape) != 3:
        raise ValueError(f"The shape {tuple(shape)} is none of an image: give channels, height and width.")
    return ImageShape(*shape)


def image_shape(shape: Shape) -> ImageShape:
    """The shape of an image."""
    found = as_shape(shape)
    if not isinstance(found, ImageShape):
        other = "SequenceSpace"
        if isinstance(found, RowShape):
            other = "MLPSpace, or give images by height and width"
        raise ValueError(
            f"These networks are for images, and the inputs are {describe_shape(found)}: take another space, such as "
            f"{other}."
        )
    return found


def describe_shape(shape: Shape) -> str:
    """A shape in words, for messages."""
    found = as_shape(shape)
    if isinstance(found, ImageShape):
        return f"images of shape {tuple(found)}"
    if isinstance(found, SeriesShape):
        return f"series of {found.features} features and up to {found.steps} steps"
    if isinstance(found, RowShape):
        return f"rows of {number_of(found.numbers, 'number')}"
    if isinstance(found, TextRowShape):
        return f"{describe_shape(found.row)} and {describe_shape(found.text)}"
    return f"sequences of up to {found.steps} of {found.vocabulary} tokens"


def same_shape(one: Shape, other: Shape) -> bool:
    """Whether two shapes are of one kind and size: as tuples, those of two kinds may be equal."""
    return plain_shape(one) == plain_shape(other)


def vocabulary_of(shape: Shape) -> int | None:
    """The number of tokens; None where inputs are no sequences of such."""
    return shape.vocabulary if isinstance(shape, TokenShape) else None


def plain_shape(shape: Shape) -> list[int | str]:
    """A shape for JSON and checkpoints: its kind, unless it is an image's, and its numbers."""
    found = as_shape(shape)
    return [*(name for name, kind in _KINDS.items() if name and isinstance(found, kind)), *found]


def read_shape(plain: Sequence[int | str]) -> KindShape:
    """The inverse of ``plain_shape``."""
    kind, numbers = (plain[0], plain[1:]) if plain and isinstance(plain[0], str) else ("", plain)
    made = _KINDS.get(str(kind))
    # A file may hold anything, and true is a whole number to Python.
    whole = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool) and number >= 0]
    if made is None or len(whole) != len(numbers) or len(whole) != len(made._fields):
        raise ValueError(f"{list(plain)} is not the shape of an input")
    return made(*whole)
