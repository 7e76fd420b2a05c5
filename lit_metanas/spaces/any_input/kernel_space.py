"""Ridge regressions on the columns of rows, and on their likeness to known rows."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape, Shape, as_shape
from lit_metanas.spaces.any_input.ridge import RidgeNetwork, equation_flops, zero_head
from lit_metanas.spaces.any_input.solved_models import SolvedModels
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost

KNOWN_ROWS = (0, 1000)
"""How many rows others are compared with."""

REACHES = (0.25, 0.5, 1.0, 2.0)
"""At how many median distances a row counts as little like another: on ten tables each was the best of some."""

FASTER = 8
"""How many times more FLOPs a second equations have than the small networks of rows, compared with those of images."""

SEEN_ROWS = 500
"""Rows whose distances have the median."""

NOWHERE = 1e4
"""Every number of a known row that there are too few rows for: nothing is like it."""


class KernelSpace(SolvedModels, SearchSpace):
    """Ridge regressions on the columns of rows, and on their likeness to drawn rows: radial basis functions.

    Columns are standardised. A row's likeness to a known one is ``exp(-(distance / reach)^2)``, after Broomhead and
    Lowe (1988), with rows drawn at random as in Nyström's method. Reach and penalty are those with the least squared
    error of examples that are left out one at a time, in closed form.

    Example:
        >>> space = lm.spaces.KernelSpace()
        >>> [one["rows"] for one in space.architectures()]
        ['0', '1000']
        >>> space.cost(space.canonical({"rows": "0"}), lm.RowShape(4), way=3)
        NetworkCost(parameters=24, flops=16)

    1. Broomhead, Lowe. Multivariable Functional Interpolation and Adaptive Networks. Complex Systems 1988.
    2. Williams, Seeger. Using the Nyström Method to Speed Up Kernel Machines. NIPS 2000.
    """

    shapes = (RowShape,)
    choices = (Choice("rows", tuple(map(str, KNOWN_ROWS))),)
    decays = (1.0,)

    @classmethod
    def uncounted_flops(cls, examples: int) -> int:
        """That of the equations, for each reach."""
        return len(REACHES) * equation_flops(examples, max(KNOWN_ROWS)) // FASTER

    def network(self, architecture: Architecture, shape: Shape, way: int) -> KernelNetwork:
        """See ``SolvedModels``."""
        self.check_shape(shape)
        found = as_shape(shape)
        assert isinstance(found, RowShape)
        return KernelNetwork(found.numbers, int(self.canonical(architecture)["rows"]), way)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """See ``SearchSpace``; an exponential counts as four multiply-adds."""
        with torch.device("meta"):
            network = self.network(architecture, shape, way)
        weights, known = network.head.weight.numel(), len(network.rows)
        flops = network.rows.numel() + 4 * known + network.center.numel() + weights
        return NetworkCost(sum(own.numel() for own in network.parameters()), flops)


class KernelNetwork(RidgeNetwork):
    """Scores that are linear in standardised columns, and in the likeness to known rows."""

    variants: ClassVar = REACHES
    at_once = 1024

    def __init__(self, numbers: int, rows: int, way: int) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.zeros(numbers), requires_grad=False)
        self.spread = nn.Parameter(torch.ones(numbers), requires_grad=False)
        self.rows = nn.Parameter(torch.zeros(rows, numbers), requires_grad=False)
        self.reach = nn.Parameter(torch.ones(1), requires_grad=False)
        self.median = 1.0
        self.head = zero_head(rows + numbers, way)

    def features(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, features)``."""
        columns = (inputs - self.center) / self.spread
        if not len(self.rows):
            return columns
        # Squared distances by a matrix product, as programs of exports know no distances.
        lengths = columns.square().sum(1, keepdim=True) + self.rows.square().sum(1)
        distances = (lengths - 2 * F.linear(columns, self.rows)).clamp(min=0)
        return torch.cat([torch.exp(-distances / self.reach.square()), columns], 1)

    def scales(self) -> Tensor:
        """All columns together count as much as one known row."""
        found = super().scales()
        found[len(self.rows) :] = found.new_tensor(float(len(self.center))).rsqrt()
        return found

    def look_at(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Take means and deviations, and the first rows as known ones."""
        self.center.copy_(inputs.mean(0))
        deviation = inputs.std(0, correction=0)
        self.spread.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))
        columns = (inputs - self.center) / self.spread
        known = columns[: len(self.rows)]
        self.rows.fill_(NOWHERE)
        self.rows[: len(known)] = known
        if len(known):
            self.median = max(1e-3, float(torch.cdist(columns[-SEEN_ROWS:], known).median()))

    def vary(self, variant: float) -> None:
        """Set the reach."""
        self.reach.fill_(variant * self.median)
