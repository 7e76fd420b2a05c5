"""The weight-sharing network of a cell space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.cell_cost import cell_costs
from lit_metanas.spaces.cell_layout import CellLayout, inputs_name, sources
from lit_metanas.spaces.cell_network import CellNetwork
from lit_metanas.spaces.layers import Moments, SuperNorms, name_norms
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.space import Shape, Supernet


class CellSupernet(Supernet):
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
        super().__init__()
        self.labels = {choice.name: choice.labels for choice in choices}
        self.body = CellNetwork(layout, shape, self.labels, norms)
        self.features = self.body.features
        self.costs = cell_costs(layout, shape, operations)
        name_norms(self)

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``. There is no dropout, so that ``noise`` does nothing."""
        del noise
        features = self.body(inputs, mixture, Moments(statistics, record))[-1].mean((2, 3))
        assert isinstance(features, Tensor)
        return features

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing: the space has no dropout."""
        del examples, generator
        return {}

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
