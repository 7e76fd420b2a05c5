"""The weight-sharing network of a cell space."""

from __future__ import annotations

from collections.abc import Sequence

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.cell_cost import cell_costs
from lit_metanas.spaces.cell_layout import CellLayout, inputs_name, sources
from lit_metanas.spaces.cell_network import CellNetwork
from lit_metanas.spaces.layers import SuperNorms
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.space import Shape


class CellSupernet(BodySupernet):
    """All cells of one kind have the same architecture, and each its own weights for every candidate.

    Args:
        choices: of the space; those of inputs only where pairs of inputs are weighed.
        layout: how cells are stacked.
        shape: channels, height and width of an input.
        operations: the candidates of an edge.
        norms: makes the batch-norm layers.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        *,
        layout: CellLayout,
        shape: Shape,
        operations: tuple[str, ...],
        norms: SuperNorms,
    ) -> None:
        labels = {choice.name: choice.labels for choice in choices}
        costs = cell_costs(layout, shape, operations)
        super().__init__(CellNetwork(layout, shape, labels, norms), costs.features)
        self.labels, self.costs = labels, costs

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        edges = self.costs.edges.items()
        return self.costs.base.flops + sum(
            cost.flops for (name, label), cost in edges if self._computed(name, label, mixture)
        )

    def _computed(self, name: str, label: str, mixture: Mixture) -> bool:
        """Whether a candidate of an edge is computed."""
        kind, _, ends = name.partition(".edge")
        source, node = map(int, ends.split("-"))
        inputs = inputs_name(kind, node)
        if inputs in self.labels:
            pairs, chosen = self.labels[inputs], mixture[inputs].index
            if not any(source in sources(pair) for pair in (pairs if chosen is None else (pairs[chosen],))):
                return False
        index = mixture[name].index
        return label in (self.labels[name] if index is None else (self.labels[name][index],))
