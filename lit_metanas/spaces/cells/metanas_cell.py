"""MetaNAS's search space: cells whose nodes weigh pairs of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.cells.cell_layout import CellLayout
from lit_metanas.spaces.cells.cell_space import CellSpace

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "conv_1x5_5x1",
    "conv_3x3",
    "sep_conv_3x3",
    "dil_conv_3x3",
)


class MetaNASCell(CellSpace):
    """Three nodes with two inputs each, seven operations and no ``none`` (Elsken et al. 2020, Section 3.3).

    In the supernet a node is a weighted sum over the pairs of its possible inputs, of the two edges' mixtures of
    operations: so the inputs, too, are pruned softly. With ``AnnealedSoftmax`` and an inner loop that moves logits
    nearly one pair and one operation an edge are left when a task is learned, and the derived network computes nearly
    the same. An edge is weighted by all pairs that it is part of. Cells are stacked as in DARTS.

    Args:
        channels: of each node before the first reduction cell, which doubles them as the second does.
        cells: of the network; those at one and two thirds of the depth are reduction cells.
        normalised_pools: whether a pooling is followed by a batch-norm without scale and shift.
        fixed: labels that single choices are restricted to, for instance ``{normal.inputs4: [0+2]}``.

    Raises:
        ValueError: a number is not positive, or a choice or label is unknown.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.MetaNASCell(channels=8, cells=2)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 4,
        normalised_pools: bool = True,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(
            operations=OPERATIONS,
            layout=CellLayout(nodes=3, cells=cells, channels=channels),
            normalised_pools=normalised_pools,
            auxiliary=False,
            fixed=fixed,
        )

    @property
    def weighed(self) -> tuple[Choice, ...]:
        """All choices."""
        return self.choices
