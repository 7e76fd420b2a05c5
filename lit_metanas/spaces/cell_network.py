"""Stem and stacked cells: what a cell space's supernet and its children have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from lit_metanas.spaces.cell_layout import CellLayout, Site, edge_name, inputs_name, sources
from lit_metanas.spaces.cell_operations import OPERATIONS, convolve, halve
from lit_metanas.spaces.layers import Moments, Norms, Stack
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import through, total
from lit_metanas.spaces.space import Shape

Labels = Mapping[str, Sequence[str]]
"""The candidates by the name of the choice; an edge without a name there is absent."""


class Edge(nn.ModuleDict):
    """The candidates of one edge by label; ``none`` is nothing."""

    def __init__(self, labels: Sequence[str], *, width: int, stride: int, norms: Norms) -> None:
        super().__init__({label: OPERATIONS[label](width, stride, norms) for label in labels if label != "none"})
        self.labels = tuple(labels)

    def forward(self, inputs: Tensor, gate: Gate | None, moments: Moments | None) -> Tensor | None:
        """The candidates under a gate, or without one the only candidate; None for nothing."""
        if gate is None:
            (label,) = self.labels
            return None if label == "none" else self._compute(inputs, moments, label)
        return total(gate, self.labels, partial(self._compute, inputs, moments))

    def _compute(self, inputs: Tensor, moments: Moments | None, label: str) -> Tensor:
        outputs = self[label](inputs, moments)
        assert isinstance(outputs, Tensor)
        return outputs


class Cell(nn.Module):
    """One cell: each node is the sum of its edges, or a weighted sum over pairs of edges.

    Args:
        site: where the cell stands.
        nodes: that are computed.
        labels: the candidates of each edge, and of each node's inputs where pairs are weighed.
        norms: makes the batch-norm layers.
    """

    def __init__(self, site: Site, nodes: Sequence[int], labels: Labels, norms: Norms) -> None:
        super().__init__()
        kind, width = site.kind, site.width
        self.kind, self.nodes, self.labels = kind, tuple(nodes), dict(labels)
        self.before = halve(site.before, width, norms) if site.shrunk else convolve(site.before, width, 1, norms)
        self.last = convolve(site.last, width, 1, norms)
        self.stride = 2 if kind == "reduce" else 1
        self.edges = nn.ModuleDict()
        for node in self.nodes:
            for source in range(node):
                name = edge_name(kind, source, node)
                if name in labels:
                    stride = self.stride if source < self.nodes[0] else 1
                    edge = Edge(labels[name], width=width, stride=stride, norms=norms)
                    self.edges[f"{source}-{node}"] = edge

    def forward(self, before: Tensor, last: Tensor, mixture: Mixture | None, moments: Moments | None) -> Tensor:
        """Outputs of the two cells before to ``(n, nodes * width, height / stride, width / stride)``."""
        states = [self.before(before, moments), self.last(last, moments)]
        for node in self.nodes:
            outputs = {
                source: self.edges[f"{source}-{node}"](
                    states[source], mixture and mixture[edge_name(self.kind, source, node)], moments
                )
                for source in self._computed(node, mixture)
            }
            joined = self._join(node, outputs, mixture)
            states.append(
                torch.zeros_like(states[0][:, :, :: self.stride, :: self.stride]) if joined is None else joined
            )
        return torch.cat(states[self.nodes[0] :], 1)

    def _computed(self, node: int, mixture: Mixture | None) -> list[int]:
        """The sources of the edges that are not left out."""
        name = inputs_name(self.kind, node)
        known = [source for source in range(node) if f"{source}-{node}" in self.edges]
        if mixture is None or name not in self.labels:
            return known
        index = mixture[name].index
        wanted = self.labels[name] if index is None else (self.labels[name][index],)
        return [source for source in known if any(source in sources(pair) for pair in wanted)]

    def _join(self, node: int, outputs: Mapping[int, Tensor | None], mixture: Mixture | None) -> Tensor | None:
        name = inputs_name(self.kind, node)
        terms = {source: output for source, output in outputs.items() if output is not None}
        if mixture is None or name not in self.labels:
            return reduce(torch.add, terms.values()) if terms else None
        gate = mixture[name]
        if gate.index is not None:
            return through(gate, reduce(torch.add, terms.values())) if terms else None
        # A sum over pairs is one over edges, each weighted by all pairs that it is part of.
        weights: dict[int, Tensor] = {}
        for weight, pair in zip(gate.weights.unbind(), self.labels[name], strict=True):
            for source in sources(pair):
                weights[source] = weights[source] + weight if source in weights else weight
        weighted = [weights[source] * output for source, output in terms.items() if source in weights]
        return reduce(torch.add, weighted) if weighted else None


class CellNetwork(nn.Module):
    """Stem and cells.

    Args:
        layout: how cells are stacked.
        shape: channels, height and width of an input.
        labels: the candidates of each edge, and of each node's inputs where pairs are weighed.
        norms: makes the batch-norm layers.
    """

    def __init__(self, layout: CellLayout, shape: Shape, labels: Labels, norms: Norms) -> None:
        super().__init__()
        channels, height, width = shape
        self.stem = Stack(nn.Conv2d(channels, layout.stem, 3, padding=1, bias=False), norms(layout.stem, "stem"))
        self.cells = nn.ModuleList()
        for site in layout.sites(height, width):
            self.cells.append(Cell(site, layout.targets(), labels, norms))

    def forward(self, inputs: Tensor, mixture: Mixture | None = None, moments: Moments | None = None) -> list[Tensor]:
        """The output of each cell, for inputs of shape ``(n, channels, height, width)``."""
        last = self.stem(inputs, moments)
        outputs = [last, last]
        for cell in self.cells:
            outputs.append(cell(outputs[-2], outputs[-1], mixture, moments))
        return outputs[2:]
