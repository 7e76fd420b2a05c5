"""Linear models of images: of average pixels, or of these and edges, so that the finer are better and dearer."""

from functools import partial
from math import ceil, cos, pi, prod, sin

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.spaces.any_input.solved_models import SolvedModels, SolvedNetwork
from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.supernet import NetworkCost

DIRECTIONS = 8


class PlainPixelSpace(SolvedModels, lm.SearchSpace):
    """Linear models that are not solved but trained step by step, with three weight decays to choose from."""

    shapes = (lm.ImageShape,)
    choices = (Choice("detail", ("coarse", "fine")),)
    decays = (0.3, 3.0, 0.01)

    @staticmethod
    def passes(examples: int) -> int:
        """About 300 steps for few examples."""
        return max(1, 300 // ceil(examples / lm.Recipe().batch_size))

    def solver(self, child: nn.Module) -> None:
        """None."""

    def uncounted_flops(self, architecture: lm.Architecture, shape: lm.Shape, examples: int) -> int:
        """Those of the optimizer."""
        return 3000 * self.cost(architecture, shape, 2).parameters

    def network(self, architecture: lm.Architecture, shape: lm.Shape, way: int) -> "PlainPixels":
        """Of any image."""
        return PlainPixels(architecture["detail"], lm.ImageShape(*shape), way)

    def cost(self, architecture: lm.Architecture, shape: lm.Shape, way: int) -> NetworkCost:
        """Of the last layer alone."""
        head = self.network(architecture, shape, way).head
        return NetworkCost(sum(own.numel() for own in head.parameters()), head.weight.numel())


class PlainPixels(SolvedNetwork):
    """Averages of patches, and, if ``fine``, how strong the edges of each direction are in parts of the image."""

    def __init__(self, detail: str, shape: lm.ImageShape, way: int) -> None:
        super().__init__()
        size, inner = (shape.height, shape.width), (shape.height - 2, shape.width - 2)
        self.fine, self.inner, self.cells = detail == "fine", inner, [-(-side // 6) for side in inner]
        edges = DIRECTIONS * prod(-(-side // own) for side, own in zip(inner, self.cells, strict=True))
        self.patches = [-(-side // (12 if self.fine else 8)) for side in size]
        parts = zip(size, self.patches, strict=True)
        features = shape.channels * prod(-(-side // own) for side, own in parts) + edges * self.fine
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.head = nn.Linear(features, way)

    def solve(self, *args: object) -> bool:
        """Never."""
        return False

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of images."""
        pool = partial(F.avg_pool2d, ceil_mode=True, count_include_pad=False)
        found: Tensor = pool(inputs, self.patches).flatten(1)
        if not self.fine:
            return self._scores(found)
        grey, (height, width) = inputs.sum(1, keepdim=True), self.inner
        middle, centre = grey[:, :, 1 : 1 + height], grey[:, :, :, 1 : 1 + width]
        right = middle[:, :, :, 2 : 2 + width] - middle[:, :, :, :width]
        down = centre[:, :, 2 : 2 + height] - centre[:, :, :height]
        angles = [2 * pi * place / DIRECTIONS for place in range(DIRECTIONS)]
        strong = torch.cat([(right * cos(angle) + down * sin(angle)).relu() for angle in angles], 1)
        cells = pool(strong, self.cells)
        around = pool(cells.sum(1, keepdim=True) * (1 / DIRECTIONS), 3, stride=1, padding=1)
        return self._scores(torch.cat([found, (cells / around.clamp(min=1e-3)).flatten(1)], 1))

    def _scores(self, features: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(features[:, :, None, None]).flatten(1))
        return scores
