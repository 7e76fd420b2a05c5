"""Ridge regressions on how much the patches of an image are like patches of others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import ImageShape, Shape
from lit_metanas.spaces.any_input.solved_models import RidgeModels, RidgeNetwork, zero_head
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.space import SearchSpace

DRAWN_PATCHES = (400, 100)  # patches that those of an image are compared with

PATCH_SIDE, SEEN_SIDE = 6, 32
"""Pixels along a side of a patch, and of an image as it is looked at, at least; larger ones are averaged."""

PARTS_A_SIDE = 3  # parts along a side of an image in which likeness is averaged

LEAST_LIKENESS, FAINTEST_CONTRAST, WHITENING = 0.5, 0.01, 0.1
"""What is subtracted from a likeness; what is added to the variance in a patch, and to those of their components."""

PIXEL_SCALE = 7.0
"""Standard deviation of means of pixels, where that of a likeness is 1; more, or 1, is as good on photographs."""

SEEN_IMAGES, SEEN_PATCHES = 1000, 50_000
"""Images of which patches are taken, and the patches by which they are whitened."""


class PatchSpace(RidgeModels, SearchSpace):
    """Ridge regressions on the likeness of an image's patches to drawn ones, after Coates, Lee and Ng (2011).

    Patches of six by six pixels are drawn from the images to learn from. Each patch of an image is brought to mean 0
    and variance 1, whitened, and compared with them by a scalar product. Features are the means, in each of nine parts
    of the image, of how far the product is above a threshold, and of how far its negative is, and of its pixels, whose
    brightness no patch shows. Departures from the paper: patches are drawn, not clustered, and there are nine parts.

    Example:
        >>> space = lm.spaces.PatchSpace()
        >>> [one["patches"] for one in space.architectures()]
        ['400', '100']
        >>> space.cost(space.canonical({"patches": "100"}), lm.ImageShape(1, 28, 28), way=10)
        NetworkCost(parameters=21800, flops=2345690)

    1. Coates, Lee, Ng. An Analysis of Single-Layer Networks in Unsupervised Feature Learning. AISTATS 2011.
    """

    shapes = (ImageShape,)
    choices = (Choice("patches", tuple(map(str, DRAWN_PATCHES))),)
    tried = 1

    def network(self, architecture: Architecture, shape: Shape, way: int) -> PatchNetwork:
        """See ``SolvedModels``."""
        self.check_shape(shape)
        return PatchNetwork(ImageShape(*shape), int(self.canonical(architecture)["patches"]), way)


class PatchNetwork(RidgeNetwork):
    """Scores that are linear in how much the patches in each part of an image are like drawn ones."""

    def __init__(self, shape: ImageShape, patches: int, way: int) -> None:
        super().__init__()
        self.every = max(1, min(shape.height, shape.width) // SEEN_SIDE)
        height, width = shape.height // self.every, shape.width // self.every
        self.side = min(PATCH_SIDE, height, width)
        high, wide = height - self.side + 1, width - self.side + 1
        self.cell, cells = _parts(high, wide)
        self.part, parts = _parts(height, width)
        self.kernels = nn.Parameter(torch.zeros(patches, shape.channels, self.side, self.side), requires_grad=False)
        self.shift = nn.Parameter(torch.zeros(patches), requires_grad=False)
        self.pixels = shape.channels * parts
        self.head = zero_head(2 * patches * cells + self.pixels, way)
        # What is done with a likeness counts as eight multiply-adds.
        self.flops = (self.kernels.numel() + 8 * patches) * high * wide + self.head.weight.numel()

    def features(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, features)``."""
        images = F.avg_pool2d(inputs, self.every)
        mean = F.avg_pool2d(images.mean(1, keepdim=True), self.side, stride=1)
        square = F.avg_pool2d((images * images).mean(1, keepdim=True), self.side, stride=1)
        faint = ((square - mean * mean).clamp(min=0) + FAINTEST_CONTRAST).rsqrt()
        sums = self.kernels.sum((1, 2, 3))[:, None, None]
        # In place, as these large maps take longer to allocate than to compute.
        likeness = F.conv2d(images, self.kernels).sub_(mean * sums).mul_(faint).add_(self.shift[:, None, None])
        above = _means((likeness - LEAST_LIKENESS).clamp_(min=0), self.cell)
        below = _means(likeness.mul_(-1).sub_(LEAST_LIKENESS).clamp_(min=0), self.cell)
        return torch.cat([above, below, _means(images, self.part)], 1)

    def scales(self) -> Tensor:
        """Means of pixels count for more, as they are few."""
        found = super().scales()
        found[-self.pixels :] = PIXEL_SCALE
        return found

    def look_at(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Draw patches of some images, and whiten them."""
        images = F.avg_pool2d(as_floats(inputs[:SEEN_IMAGES]), self.every)
        found = F.unfold(images, self.side).transpose(1, 2).flatten(0, 1)
        found = found[torch.randperm(len(found), generator=generator)[:SEEN_PATCHES]]
        found = found - found.mean(1, keepdim=True)
        found = found / (found.square().mean(1, keepdim=True) + FAINTEST_CONTRAST).sqrt()
        mean = found.mean(0)
        found = found - mean
        variances, components = torch.linalg.eigh(found.T @ found / len(found))
        whitening = components @ ((variances + WHITENING).rsqrt()[:, None] * components.T)
        drawn = found[torch.arange(len(self.kernels)) % len(found)] @ whitening
        kernels = drawn / drawn.norm(dim=1, keepdim=True).clamp(min=1e-6) @ whitening
        self.kernels.copy_(kernels.view_as(self.kernels))
        self.shift.copy_(-(kernels @ mean))


def _parts(height: int, width: int) -> tuple[tuple[int, int], int]:
    part = (-(-height // PARTS_A_SIDE), -(-width // PARTS_A_SIDE))
    return part, -(-height // part[0]) * -(-width // part[1])


def _means(maps: Tensor, part: tuple[int, int]) -> Tensor:
    # Parts at the end have fewer places. Shape (n, maps * parts).
    return F.avg_pool2d(maps, part, ceil_mode=True, count_include_pad=False).flatten(1)
