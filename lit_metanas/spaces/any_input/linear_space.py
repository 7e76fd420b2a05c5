"""Linear classifiers of plain features of images and rows: what every network must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import cos, pi, prod, sin

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import ImageShape, KindShape, RowShape, Shape, as_shape
from lit_metanas.spaces.architecture import check_known
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.operations import padded
from lit_metanas.spaces.space import SearchSpace

DETAILS = ("coarse", "fine")

PATCH_SIDES: Mapping[str, int] = {"coarse": 8, "fine": 12}
"""Most patches along a side of an image."""

EDGE_SIDES, EDGE_DIRECTIONS, FAINTEST = 6, 8, 1e-3
"""Most patches along a side in which edges are counted, by how many directions, and the strength of the faintest."""


class LinearSpace(SearchSpace):
    """Linear classifiers of plain features of images and rows of numbers.

    Images have averages of patches; ``fine`` ones have the strength of edges of eight directions in each of some larger
    patches, too (after Dalal and Triggs 2005), all standardised by a batch-norm. Rows are taken as they are, ``fine``
    ones standardised with the squares of their numbers.

    Args:
        details: ``coarse`` for few features, ``fine`` for many.

    Raises:
        ValueError: there are no details, or others.

    Example:
        >>> space = lm.spaces.LinearSpace()
        >>> coarse, fine = (space.canonical({"detail": label}) for label in ("coarse", "fine"))
        >>> space.cost(coarse, lm.ImageShape(1, 28, 28), way=10)
        NetworkCost(parameters=500, flops=490)
        >>> space.cost(fine, lm.RowShape(4), way=3).parameters
        27
    """

    shapes = (ImageShape, RowShape)

    def __init__(self, *, details: Sequence[str] = DETAILS) -> None:
        self.details = check_known(self.name, "details", details, DETAILS)

    def body(self, shape: Shape, build: Builder) -> nn.Module:
        """The features."""
        return PlainFeatures(build, self.details, shape)


class PlainFeatures(nn.Module):
    """Features of one detail, or those of all, weighed; what the shorter ones lack are zeros."""

    def __init__(self, build: Builder, details: Sequence[str], shape: Shape) -> None:
        super().__init__()
        self.detail = build.question("detail", details)
        found = as_shape(shape)
        made = {label: FEATURES[type(found)](found, label) for label in self.detail.labels}
        self.features = nn.ModuleDict(made)
        self.norms = nn.ModuleDict(
            {label: build.norm(one.length, affine=False) for label, one in made.items() if one.standardised}
        )
        self.longest = max(one.length for one in made.values())

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to ``(n, features)``."""
        return self.detail.combine(partial(self._features, inputs))

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(count.whole(self.features[label]) for label in self.detail.computed_labels())

    def _features(self, inputs: Tensor, label: str) -> Tensor:
        found = self.features[label](inputs)
        if label in self.norms:
            found = self.norms[label](found.unsqueeze(2).unsqueeze(2)).flatten(1)
        return padded(found, self.longest)


class Features(nn.Module):
    """Plain features of inputs of one kind."""

    length: int  # number of features
    standardised: bool  # whether they are to be


class ImageFeatures(Features):
    """Averages of patches, and, if ``fine``, of larger ones how strong edges of each direction are."""

    # What counts is the part of a gradient that points into a direction, if it does. Strengths are divided by the mean
    # of all directions in a patch and those around it, so that contrast does not matter.

    standardised = True

    def __init__(self, shape: ImageShape, detail: str) -> None:
        super().__init__()
        size = shape.height, shape.width
        self.patches = _kernel(size, PATCH_SIDES[detail])
        self.length = shape.channels * _number(size, self.patches)
        self.edges = detail == "fine" and min(size) > 2
        self.inner = shape.height - 2, shape.width - 2
        self.cells = _kernel(self.inner, EDGE_SIDES)
        if self.edges:
            self.length += EDGE_DIRECTIONS * _number(self.inner, self.cells)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, features)``."""
        pool = partial(F.avg_pool2d, ceil_mode=True, count_include_pad=False)
        found = pool(inputs, self.patches).flatten(1)
        if not self.edges:
            return found
        grey, (height, width) = inputs.sum(1, keepdim=True), self.inner
        middle, centre = grey[:, :, 1 : 1 + height], grey[:, :, :, 1 : 1 + width]
        right = middle[:, :, :, 2 : 2 + width] - middle[:, :, :, :width]
        down = centre[:, :, 2 : 2 + height] - centre[:, :, :height]
        angles = [2 * pi * place / EDGE_DIRECTIONS for place in range(EDGE_DIRECTIONS)]
        strong = torch.cat([(right * cos(angle) + down * sin(angle)).relu() for angle in angles], 1)
        cells = pool(strong, self.cells)
        around = pool(cells.sum(1, keepdim=True) * (1 / EDGE_DIRECTIONS), 3, stride=1, padding=1)
        return torch.cat([found, (cells / around.clamp(min=FAINTEST)).flatten(1)], 1)


class RowFeatures(Features):
    """Rows as they are, or, if ``fine``, with the squares of their numbers."""

    def __init__(self, shape: RowShape, detail: str) -> None:
        super().__init__()
        self.standardised = detail == "fine"
        self.length = shape.numbers * (1 + self.standardised)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, features)``."""
        if not self.standardised:
            return inputs
        return torch.cat([inputs, inputs * inputs], 1)


FEATURES: Mapping[type[KindShape], Callable[..., Features]] = {
    ImageShape: ImageFeatures,
    RowShape: RowFeatures,
}


def _kernel(size: Sequence[int], most: int) -> list[int]:
    """Height and width of patches, of which there are so many along a side at most."""
    return [-(-side // most) for side in size]


def _number(size: Sequence[int], kernel: Sequence[int]) -> int:
    """How many patches an image has; those at the end may be smaller."""
    return prod(-(-side // own) for side, own in zip(size, kernel, strict=True))
