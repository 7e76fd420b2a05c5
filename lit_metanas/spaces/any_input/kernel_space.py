"""Ridge regressions on numbers, and on how much they are like those of other examples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape, Shape
from lit_metanas.spaces.any_input.solved_models import RidgeModels, RidgeNetwork, zero_head
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.space import SearchSpace

DRAWN_ROWS = (0, 100, 600)
"""Rows that others are compared with; with more, and three reaches, there would be more features than are solved."""

REACHES = (0.25, 0.5, 1.0)
"""How far likeness reaches, in median distances; of tables with 200 to 5,000 rows none is better alone."""

MEASURED_ROWS = 300  # drawn rows whose distances are measured for that


class KernelSpace(RidgeModels, SearchSpace):
    """Ridge regressions on numbers and their likeness to drawn examples, a Gaussian of the distance.

    This is kernel ridge regression with a sum of three kernels and a linear one, where the drawn examples span what
    can be learned: the Nyström method. No drawn rows leave a linear model. The network holds the drawn rows as numbers:
    who gets it can read them.

    Example:
        >>> space = lm.spaces.KernelSpace()
        >>> [one["rows"] for one in space.architectures()]
        ['0', '100', '600']
        >>> space.cost(space.canonical({"rows": "0"}), lm.RowShape(4), way=3)
        NetworkCost(parameters=18, flops=12)

    1. Williams, Seeger. Using the Nyström Method to Speed Up Kernel Machines. NIPS 2000.
    """

    shapes = (RowShape,)
    speed_of_equations = 50  # the small networks for rows do few FLOPs in each operation
    choices = (Choice("rows", tuple(map(str, DRAWN_ROWS))),)

    def network(self, architecture: Architecture, shape: Shape, way: int) -> KernelNetwork:
        """See ``SolvedModels``."""
        self.check_shape(shape)
        return KernelNetwork(RowShape(*shape).numbers, int(self.canonical(architecture)["rows"]), way)


class KernelNetwork(RidgeNetwork):
    """Scores that are linear in numbers and in their likeness to those of drawn examples."""

    def __init__(self, numbers: int, rows: int, way: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(rows, numbers), requires_grad=False)
        self.rates = nn.Parameter(torch.ones(len(REACHES)), requires_grad=False)  # of squared distances
        self.head = zero_head(numbers + len(REACHES) * rows, way)
        # A likeness counts as eight multiply-adds.
        self.flops = rows * (numbers + 8 * len(REACHES)) + self.head.weight.numel()

    def features(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, features)``."""
        # Not by `cdist`, which ONNX lacks.
        squares = (inputs * inputs).sum(1, keepdim=True) + (self.rows * self.rows).sum(1)
        distances = (squares - 2 * inputs @ self.rows.T).clamp(min=0)
        likeness = torch.exp(-distances[:, None] * self.rates[:, None])
        return torch.cat([inputs, likeness.flatten(1)], 1)

    def look_at(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Take the first rows, which are in a drawn order, and measure their distances."""
        drawn = inputs[: len(self.rows)].to(self.rows)
        self.rows.copy_(drawn[torch.arange(len(self.rows)) % len(inputs)])  # several times, if there are fewer
        distances = torch.pdist(drawn[:MEASURED_ROWS].double())
        known = distances[distances > 0]
        if len(known):
            self.rates.copy_((torch.tensor(REACHES).to(known) * known.median()) ** -2)
