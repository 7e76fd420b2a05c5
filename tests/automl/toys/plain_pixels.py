"""Linear models of images: of average pixels, or of these and edges, so that the finer are better and dearer."""

from functools import partial
from math import cos, pi, prod, sin

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lit_metanas as lm

DIRECTIONS = 8


class PlainPixels(nn.Module):
    """Averages of patches, and, if ``fine``, how strong the edges of each direction are in parts of the image."""

    def __init__(self, build: lm.Builder, details: tuple[str, ...], shape: lm.ImageShape) -> None:
        super().__init__()
        self.detail = build.question("detail", details)
        size, inner = (shape.height, shape.width), (shape.height - 2, shape.width - 2)
        self.inner, self.cells = inner, [-(-side // 6) for side in inner]
        edges = DIRECTIONS * prod(-(-side // own) for side, own in zip(inner, self.cells, strict=True))
        self.patches = {label: [-(-side // most) for side in size] for label, most in (("coarse", 8), ("fine", 12))}
        self.norms = nn.ModuleDict()
        for label in self.detail.labels:
            parts = zip(size, self.patches[label], strict=True)
            features = shape.channels * prod(-(-side // own) for side, own in parts) + edges * (label == "fine")
            self.norms[label] = build.norm(features, affine=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Of children alone."""
        (label,) = self.detail.labels
        pool = partial(F.avg_pool2d, ceil_mode=True, count_include_pad=False)
        found = pool(inputs, self.patches[label]).flatten(1)
        if label == "fine":
            grey, (height, width) = inputs.sum(1, keepdim=True), self.inner
            middle, centre = grey[:, :, 1 : 1 + height], grey[:, :, :, 1 : 1 + width]
            right = middle[:, :, :, 2 : 2 + width] - middle[:, :, :, :width]
            down = centre[:, :, 2 : 2 + height] - centre[:, :, :height]
            angles = [2 * pi * place / DIRECTIONS for place in range(DIRECTIONS)]
            strong = torch.cat([(right * cos(angle) + down * sin(angle)).relu() for angle in angles], 1)
            cells = pool(strong, self.cells)
            around = pool(cells.sum(1, keepdim=True) * (1 / DIRECTIONS), 3, stride=1, padding=1)
            found = torch.cat([found, (cells / around.clamp(min=1e-3)).flatten(1)], 1)
        normed: Tensor = self.norms[label](found[:, :, None, None])
        return normed.flatten(1)
