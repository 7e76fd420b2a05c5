"""Linear classifiers of rows of numbers: what every network for them must beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape, Shape
from lit_metanas.spaces.architecture import check_known
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.space import SearchSpace

DETAILS = ("coarse", "fine")


class LinearSpace(SearchSpace):
    """Linear classifiers of rows of numbers as they are, or standardised and with their squares.

    Args:
        details: ``coarse`` for the numbers, ``fine`` for their squares, too.

    Raises:
        ValueError: there are no details, or others.

    Example:
        >>> space = lm.spaces.LinearSpace()
        >>> coarse, fine = (space.canonical({"detail": label}) for label in ("coarse", "fine"))
        >>> space.cost(coarse, lm.RowShape(4), way=3), space.cost(fine, lm.RowShape(4), way=3).parameters
        (NetworkCost(parameters=15, flops=12), 27)
    """

    shapes = (RowShape,)
    shares_weights = False

    def __init__(self, *, details: Sequence[str] = DETAILS) -> None:
        self.details = check_known(self.name, "details", details, DETAILS)

    def body(self, shape: Shape, build: Builder) -> nn.Module:
        """The features."""
        if build.question("detail", self.details).labels == ("coarse",):
            return nn.Identity()
        return StandardisedSquares(build.norm(2 * RowShape(*shape).numbers, affine=False))


class StandardisedSquares(nn.Module):
    """Numbers and their squares, each brought to mean 0 and variance 1 by a batch-norm."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({"fine": norm})  # its name in earlier exports

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, 2 * numbers)``."""
        return self.norms["fine"](torch.cat([inputs, inputs * inputs], 1)[:, :, None, None]).flatten(1)
