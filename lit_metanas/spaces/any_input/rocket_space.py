"""Ridge regressions on the answers of many fixed convolutions of a series."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from math import log2
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import SeriesShape, Shape
from lit_metanas.spaces.any_input.solved_models import RidgeModels, RidgeNetwork, zero_head
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.space import SearchSpace

LENGTH, LARGE, KERNELS = 9, 3, 84
"""Numbers of a kernel, how many of them are 2 where the others are -1, and the ways to place these."""

LEVELS = (8, 2)  # how many levels the answers of a kernel are compared with

MOST_ADDED = 9  # channels that a kernel adds at most

LEVEL_EXAMPLES, LEVEL_ANSWERS = 256, 20_000
"""Examples, and answers of each kernel to them, whose quantiles are the levels."""

ABOVE = 1e-3
"""How far levels are above the quantiles, so that equal answers, as to a still signal, are none above by rounding."""


class RocketSpace(RidgeModels, SearchSpace):
    """Ridge regressions on features of fixed convolutions along a series: MiniRocket and MultiRocket, simplified.

    There are 84 kernels of nine numbers, each for the series and for its changes from step to step, with dilations 1,
    2, 4 and so on. Each adds up to nine channels. Its answers are compared with some levels, which are quantiles of its
    answers to the examples. Features are the share of steps above a level, and how far these are above it in the mean.
    The penalty is the one with the least squared error of examples that are left out one at a time, in closed form.
    Departures from the papers: the channels that a kernel adds are drawn once, whatever the data; levels are quantiles
    over many examples; and there are two features a level, not one or four.

    Example:
        >>> space = lm.spaces.RocketSpace()
        >>> [one["levels"] for one in space.architectures()]
        ['8', '2']
        >>> space.cost(space.canonical({"levels": "2"}), lm.SeriesShape(4, 32), way=5)
        NetworkCost(parameters=7397, flops=256320)

    1. Dempster, Schmidt, Webb. MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series Classification.
       KDD 2021.
    2. Tan, Dempster, Bergmeir, Webb. MultiRocket: Multiple Pooling Operators and Transformations for Fast and Effective
       Time Series Classification. Data Mining and Knowledge Discovery 2022.
    """

    shapes = (SeriesShape,)
    choices = (Choice("levels", tuple(map(str, LEVELS))),)

    def network(self, architecture: Architecture, shape: Shape, way: int) -> RocketNetwork:
        """See ``SolvedModels``."""
        self.check_shape(shape)
        return RocketNetwork(SeriesShape(*shape), int(self.canonical(architecture)["levels"]), way)


class RocketNetwork(RidgeNetwork):
    """Scores that are linear in how often, and how far, the answers of fixed kernels are above levels."""

    kernels: Tensor

    def __init__(self, shape: SeriesShape, levels: int, way: int) -> None:
        super().__init__()
        self.dilations = dilations_of(shape)
        groups = 2 * len(self.dilations)
        self.register_buffer("kernels", kernels_of(groups, shape.features - 1), persistent=False)
        self.levels = nn.Parameter(torch.zeros(groups, levels, KERNELS, 1), requires_grad=False)
        self.head = zero_head(2 * self.levels.numel(), way)
        # A comparison with a level counts as four multiply-adds, a channel not added as none.
        computed = int(self.kernels.count_nonzero()) + 4 * self.levels.numel()
        self.flops = shape.steps * computed + self.head.weight.numel()

    def features(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels + 1, steps)``, the last one the mask, to ``(n, features)``."""
        found = list[Tensor]()
        for place, (answers, mask) in enumerate(self._answers(inputs)):
            answers = answers.masked_fill(mask == 0, -torch.inf)
            steps = mask.sum(2).clamp(min=1)
            for level in self.levels[place].unbind():
                above = (answers - level).clamp(min=0)
                number = above.sign().sum(2)
                found += [number / steps, above.sum(2) / number.clamp(min=1)]
        return torch.cat(found, 1)

    def _answers(self, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        # With each dilation the answers to the series, then to its changes, and the mask of these.
        values, mask = inputs[:, :-1], inputs[:, -1:]
        later = F.pad(mask[:, :, 1:] * mask[:, :, :-1], (1, 0))  # the first step is no change
        parts = [(values * mask, mask), (F.pad(values[:, :, 1:] - values[:, :, :-1], (1, 0)) * later, later)]
        for kernels, (dilation, (own, within)) in zip(self.kernels, product(self.dilations, parts), strict=True):
            reach = (LENGTH - 1) * dilation // 2
            yield F.conv1d(F.pad(own, (reach, reach)), kernels, dilation=dilation), within

    def look_at(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Take quantiles of the answers to some series as levels."""
        number = self.levels.shape[1]
        shares = (torch.arange(number) + 0.5) / number
        for levels, (answers, mask) in zip(self.levels, self._answers(inputs[:LEVEL_EXAMPLES]), strict=True):
            known = answers.transpose(0, 1).flatten(1)[:, mask.flatten() > 0]
            if not known.shape[1]:  # no series has two steps
                continue
            drawn = torch.randint(known.shape[1], (min(LEVEL_ANSWERS, known.shape[1]),), generator=generator)
            levels.copy_(known[:, drawn.to(known.device)].quantile(shares.to(known), dim=1)[..., None] + ABOVE)


def dilations_of(shape: SeriesShape) -> list[int]:
    """The powers of two, up to 128, with which a kernel is no longer than a series; 1 at least."""
    longest = min(max(1.0, (shape.steps - 1) / (LENGTH - 1)), 128.0)
    return [2**power for power in range(1 + int(log2(longest)))]


@cache
def kernels_of(groups: int, channels: int) -> Tensor:
    """Kernels for some groups, shape ``(groups, kernels, channels, LENGTH)``, 0 for channels that are not added."""
    # Python's generator gives the same numbers in each version.
    draw, most = Random(0), log2(min(channels, MOST_ADDED) + 1)  # noqa: S311 - nothing secret
    kernels = torch.full((KERNELS, 1, LENGTH), -1.0, device="cpu")
    for kernel, places in zip(kernels, combinations(range(LENGTH), LARGE), strict=True):
        kernel[0, list(places)] = 2.0
    added = torch.zeros(groups * KERNELS, channels, device="cpu")
    for own in added:
        ranked = sorted(range(channels), key=[draw.random() for _ in range(channels)].__getitem__)
        own[ranked[: int(2 ** (most * draw.random()))]] = 1.0
    return kernels * added.unflatten(0, (groups, KERNELS))[..., None]
