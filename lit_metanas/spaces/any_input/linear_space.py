"""Linear classifiers of plain features of any kind of input: what every network must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import cos, pi, prod, sin

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.architecture import check_known
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.operations import combine
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.inputs import ImageShape, RowShape, SeriesShape, Shape, TokenShape, as_shape

DETAILS = ("coarse", "fine")

SIDES: Mapping[str, int] = {"coarse": 8, "fine": 12}
"""Most patches along a side of an image."""

EDGE_SIDES, DIRECTIONS = 6, 8
"""Most patches along a side in which edges are told apart, and by how many directions."""

SPANS: Mapping[str, int] = {"coarse": 1, "fine": 4}
"""Equal parts of a series whose means are features."""

NEIGHBOURS: Mapping[str, int] = {"coarse": 1, "fine": 3}
"""Tokens in a row that are counted together, at most."""

BUCKETS = 1 << 13
"""Numbers that several tokens in a row share."""

MULTIPLIER = 31_337
"""Spreads tokens in a row over the buckets; odd, so that no two tokens in the last place share one."""


class LinearSpace(SearchSpace):
    """Linear classifiers of features that are computed, not learned: of images, series, tokens and rows of numbers.

    Images have averages of patches; ``fine`` ones tell how strong edges of eight directions are in each of a few patches,
    too (after Dalal and Triggs 2005). Series have the mean and the deviation of each feature over the steps; ``fine``
    ones have its means in the four quarters, too. Of tokens it is counted which there are; ``fine`` ones are counted
    two and three in a row, too, whose numbers fall into 8,192 buckets, where some meet by chance (Joulin et al. 2017).
    Rows are taken as they are, ``fine`` ones with the squares of their numbers. Features of images and series, and
    squares, are standardised by a batch-norm.

    Args:
        details: ``coarse`` for few features, ``fine`` for many.

    Raises:
        ValueError: there are no details, or others.

    Example:
        >>> import lit_metanas as lm
        >>> space = lm.LinearSpace()
        >>> space.cost(space.canonical({"detail": "coarse"}), lm.ImageShape(1, 28, 28), way=10).parameters
        590
        >>> space.cost(space.canonical({"detail": "fine"}), lm.TokenShape(100, 20), way=2).parameters
        16586
    """

    shapes = (ImageShape, SeriesShape, TokenShape, RowShape)

    def __init__(self, *, details: Sequence[str] = DETAILS) -> None:
        if not details:
            raise ValueError(f"{self.name}: 'details' is empty: give one at least.")
        check_known(self.name, "details", details, DETAILS)
        self.details = tuple(details)

    def body(self, shape: Shape, build: Builder) -> nn.Module:
        """The features."""
        return PlainFeatures(build, self.details, shape)


class PlainFeatures(nn.Module):
    """Features of each detail, of which one is computed, or all are weighed; missing ones of a coarse one are zeros.

    Args:
        build: makes what is open.
        details: labels of the choice.
        shape: of one input.
    """

    def __init__(self, build: Builder, details: Sequence[str], shape: Shape) -> None:
        super().__init__()
        self.detail = build.question("detail", details)
        self.computed: dict[str, Callable[[Tensor], Tensor]] = {}
        self.norms = nn.ModuleDict()
        lengths = []
        for label in self.detail.labels:
            compute, length = features_of(shape, label)
            self.computed[label] = compute
            lengths.append(length)
            if not isinstance(as_shape(shape), TokenShape) and compute is not with_none:
                self.norms[label] = build.norm(length, affine=False)
        self.longest = max(lengths)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to ``(n, features)``."""
        return combine(self.detail.gate(), [partial(self._features, inputs, label) for label in self.detail.labels])

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``: features are sums, which are not counted."""
        return 0

    def _features(self, inputs: Tensor, label: str) -> Tensor:
        found = self.computed[label](inputs)
        if label in self.norms:
            found = self.norms[label](found[:, :, None, None]).flatten(1)
        return F.pad(found, (0, self.longest - found.shape[1]))


def features_of(shape: Shape, detail: str) -> tuple[Callable[[Tensor], Tensor], int]:
    """What computes the features of inputs of a shape, and how many there are."""
    found = as_shape(shape)
    if isinstance(found, ImageShape):
        size, patches = found[1:], _kernel(found[1:], SIDES[detail])
        number = found.channels * _patches(size, patches)
        if detail == "coarse":
            return partial(patch_means, kernel=patches), number
        cells = _kernel(size, EDGE_SIDES)
        return partial(means_and_edges, patches=patches, cells=cells), number + DIRECTIONS * _patches(size, cells)
    if isinstance(found, SeriesShape):
        spans = SPANS[detail]
        return partial(series_moments, spans=spans), (found.features - 1) * (1 + spans + (spans > 1))
    if isinstance(found, TokenShape):
        most = NEIGHBOURS[detail]
        return (
            partial(token_counts, vocabulary=found.vocabulary, most=most),
            found.vocabulary + BUCKETS * (most > 1),
        )
    return (with_squares, 2 * found.numbers) if detail == "fine" else (with_none, found.numbers)


def with_none(rows: Tensor) -> Tensor:
    """Rows as they are."""
    return rows


def with_squares(rows: Tensor) -> Tensor:
    """Rows, shape ``(n, numbers)``, and the squares of their numbers behind them."""
    return torch.cat([rows, rows.square()], 1)


def _kernel(size: Sequence[int], most: int) -> list[int]:
    return [-(-side // most) for side in size]


def _patches(size: Sequence[int], kernel: Sequence[int]) -> int:
    return prod(-(-side // own) for side, own in zip(size, kernel, strict=True))


def patch_means(images: Tensor, kernel: Sequence[int]) -> Tensor:
    """Averages of patches of images, shape ``(n, channels, height, width)`` to ``(n, channels * patches)``."""
    return F.avg_pool2d(images, list(kernel), ceil_mode=True, count_include_pad=False).flatten(1)


def means_and_edges(images: Tensor, patches: Sequence[int], cells: Sequence[int]) -> Tensor:
    """Averages of patches, and of larger ones how strong edges of each direction are.

    What counts is the part of a gradient that points into a direction, if it does. Strengths are divided by the root of
    their squares' mean over the directions of a patch and those around it, so that contrast does not matter.

    Args:
        images: shape ``(n, channels, height, width)``.
        patches: height and width of a patch whose pixels are averaged.
        cells: of one whose edges are.

    Returns:
        Shape ``(n, features)``.
    """
    grey = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    down, right = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1], grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    angles = [2 * pi * place / DIRECTIONS for place in range(DIRECTIONS)]
    strong = torch.cat([(sin(angle) * down + cos(angle) * right).relu() for angle in angles], 1)
    edges = F.avg_pool2d(strong, list(cells), ceil_mode=True, count_include_pad=False)
    around = F.avg_pool2d(edges.square().mean(1, keepdim=True), 3, 1, 1, count_include_pad=False)
    return torch.cat([patch_means(images, patches), (edges / (around + 1e-6).sqrt()).flatten(1)], 1)


def series_moments(series: Tensor, spans: int) -> Tensor:
    """Deviation and mean of each feature over the steps of an example, and its means in equal parts of these.

    Args:
        series: shape ``(n, features, steps)``, the last feature the mask.
        spans: number of the parts; 1 has the whole alone.

    Returns:
        Shape ``(n, (features - 1) * k)``: of one part ``k`` is 2, of more ``2 + spans``.
    """
    values, mask = series[:, :-1], series[:, -1:]
    length = mask.sum(2, keepdim=True).clamp(min=1)
    mean = (values * mask).sum(2, keepdim=True) / length
    deviation = (((values - mean).square() * mask).sum(2) / length.squeeze(2) + 1e-8).sqrt()
    found = [deviation, mean.squeeze(2)]
    if spans > 1:
        place = (mask.cumsum(2) - 1) * spans / length
        for span in range(spans):
            own = mask * ((place >= span) & (place < span + 1)).to(mask)
            found.append((values * own).sum(2) / own.sum(2).clamp(min=1))
    return torch.cat(found, 1)


def token_counts(tokens: Tensor, vocabulary: int, most: int) -> Tensor:
    """How often there is each token in an example, and each bucket of several in a row.

    Each count is divided by the root of how many are counted together.

    Args:
        tokens: shape ``(n, steps)``, int64, 0 behind the end.
        vocabulary: number of tokens.
        most: tokens in a row that are counted together.

    Returns:
        Shape ``(n, vocabulary)``, or ``(n, vocabulary + BUCKETS)`` where there are several in a row.
    """
    rows, within = tokens, tokens > 0
    places, counted = [tokens], [within]
    for length in range(2, most + 1):
        if tokens.shape[1] < length:
            break
        rows = (rows[:, :-1] * MULTIPLIER + tokens[:, length - 1 :]) % BUCKETS
        places.append(vocabulary + rows)
        counted.append(within[:, length - 1 :])
    place, weight = torch.cat(places, 1), torch.cat(counted, 1).to(torch.get_default_dtype())
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1).sqrt()
    blank = weight.new_zeros(len(tokens), vocabulary + BUCKETS * (most > 1))
    return blank.scatter_add(1, place, weight)
