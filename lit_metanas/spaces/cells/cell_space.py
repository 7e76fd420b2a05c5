"""Search spaces of a normal and a reduction cell."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

from torch import Tensor, nn

from lit_metanas.spaces.architecture import Architecture, Choice, restrict
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_layout import KINDS, CellLayout, cell_costs, edge_name, inputs_name, pairs, sources
from lit_metanas.spaces.cells.cell_networks import CellChild, CellSupernet
from lit_metanas.spaces.cells.cell_operations import Norms
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost, Shape


class CellSpace(SearchSpace):
    """Each node of a cell has two inputs, and an operation on each of the two edges.

    The choices are those of NAS-Bench-301 (Zela et al. 2022): for each node the pair of its inputs, for instance
    ``normal.inputs4: 0+2``, and for each edge an operation, for instance ``normal.edge0-4: sep_conv_3x3``, active
    where a pair holds the edge. Nodes 0 and 1 are the outputs of the two cells before.

    Args:
        operations: the candidates of each edge; ``none`` comes first where it is one.
        layout: how cells are stacked.
        normalised_pools: whether a pooling is followed by a batch-norm without scale and shift, in supernet and child.
        auxiliary: whether children have an auxiliary classifier in training.
        fixed: labels that single choices are restricted to.
    """

    def __init__(
        self,
        *,
        operations: Sequence[str],
        layout: CellLayout,
        normalised_pools: bool,
        auxiliary: bool,
        fixed: Mapping[str, Sequence[str]] | None,
    ) -> None:
        for what, number in (("cells", layout.cells), ("channels", layout.channels)):
            if number < 1:
                raise ValueError(f"{self.name}: {what} is {number}; give at least 1.")
        self.operations = tuple(operations)
        self.layout = layout
        self.normalised_pools = normalised_pools
        self.auxiliary = auxiliary
        self._pairs = {inputs_name(kind, node): node for kind in KINDS for node in layout.targets()}
        every = [choice for kind in KINDS for node in layout.targets() for choice in self._node(kind, node)]
        self.choices = self._consistent(restrict(every, fixed or {}, self.name))

    @property
    @abstractmethod
    def weighed(self) -> tuple[Choice, ...]:
        """The choices whose gates the supernet looks at."""

    def supernet(self, shape: Shape) -> CellSupernet:
        """Build the network that holds all candidates."""
        choices = self.weighed
        return CellSupernet(
            choices,
            layout=self.layout,
            shape=shape,
            operations=self.operations,
            norms=Norms(Builder({c.name: c.labels for c in choices}), self.normalised_pools),
        )

    def build(self, architecture: Architecture, shape: Shape, way: int) -> CellChild:
        """The child with newly initialised weights.

        Raises:
            ValueError: the image is too small for an auxiliary classifier.
        """
        kept = self.kept(architecture)
        return CellChild(
            kept,
            layout=self.layout,
            shape=shape,
            way=way,
            norms=Norms(Builder({n: (label,) for n, label in kept.items()}, mixed=False), self.normalised_pools),
            auxiliary=self.auxiliary,
        )

    def training_scores(self, child: nn.Module, inputs: Tensor) -> list[Tensor]:
        """The classifier's scores, and the auxiliary classifier's where there is one."""
        assert isinstance(child, CellChild)
        return child.all_scores(inputs)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child, without an auxiliary classifier."""
        return cell_costs(self.layout, shape, self.operations).network(self.kept(architecture).items(), way)

    def kept(self, architecture: Mapping[str, str]) -> dict[str, str]:
        """The operation of each edge that the architecture keeps, by the name of its choice."""
        return {name: label for name, label in self.canonical(architecture).items() if name not in self._pairs}

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label, and others none that these rule out.

        Raises:
            ValueError: a choice is unknown, or the label is not among its candidates that are left.
        """
        space = super().restricted(labels)
        space.choices = space._consistent(space.choices)
        return space

    def _consistent(self, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """The choices without labels that others rule out."""
        return choices

    def _node(self, kind: str, node: int) -> list[Choice]:
        """The choice of a node's inputs, and those of its edges' operations."""
        inputs = Choice(inputs_name(kind, node), pairs(node), f"inputs{node}")
        edges = []
        for source in range(node):
            holding = frozenset(pair for pair in pairs(node) if source in sources(pair))
            name = edge_name(kind, source, node)
            edges.append(Choice(name, self.operations, f"{kind}.edge", ((inputs.name, holding),)))
        return [inputs, *edges]
