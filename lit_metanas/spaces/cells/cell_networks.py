"""Networks of cells: what children and supernets share, the child, the supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.cells.cell_layout import CellLayout, Site, cell_costs, edge_name, inputs_name, sources
from lit_metanas.spaces.cells.cell_operations import OPERATIONS, convolve, halve
from lit_metanas.spaces.layers import ChildNorms, Moments, Norms, Stack, SuperNorms
from lit_metanas.spaces.operations import through, total
from lit_metanas.spaces.supernet import Gate, Mixture, Shape

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


class CellChild(BodyChild):
    """Stem, cells, global average and a linear classifier; in training also an auxiliary classifier where wanted.

    Args:
        operations: of each edge that is kept, by the name of its choice.
        layout: how cells are stacked.
        shape: channels, height and width of an input.
        way: number of classes.
        norms: makes the batch-norm layers.
        auxiliary: whether there is an auxiliary classifier.

    Attributes:
        features: length of the feature vector.
        flops: forward multiply-adds for one input, without the auxiliary classifier.
    """

    def __init__(
        self,
        operations: Mapping[str, str],
        *,
        layout: CellLayout,
        shape: Shape,
        way: int,
        norms: ChildNorms,
        auxiliary: bool,
    ) -> None:
        labels = {name: (label,) for name, label in operations.items()}
        costs = cell_costs(layout, shape, tuple(sorted(set(operations.values()))))
        flops = costs.network(operations.items(), way).flops
        super().__init__(CellNetwork(layout, shape, labels, norms), features=costs.features, way=way, flops=flops)
        self.auxiliary: AuxiliaryHead | None = None
        if auxiliary:
            site = layout.sites(*shape[1:])[layout.second_reduction]
            self.auxiliary = AuxiliaryHead(layout.nodes * site.width, site.size, way)
        self.second_reduction = layout.second_reduction

    def all_scores(self, inputs: Tensor) -> list[Tensor]:
        """The classifier's scores, and the auxiliary one's where there is one."""
        outputs = self.body(inputs)
        scores = [self.head(outputs[-1].mean((2, 3)))]
        return scores if self.auxiliary is None else [*scores, self.auxiliary(outputs[self.second_reduction])]


class AuxiliaryHead(nn.Module):
    """A small classifier in mid-network, whose loss helps training (Liu et al. 2019; Szegedy et al. 2015).

    As in DARTS for images of 8x8 pixels; for others the windows of its pooling are 5/8 of the image.

    Args:
        channels: of the inputs.
        size: height and width of the inputs.
        way: number of classes.

    Raises:
        ValueError: the inputs have a single row or column.
    """

    def __init__(self, channels: int, size: tuple[int, int], way: int) -> None:
        super().__init__()
        if min(size) < 2:
            raise ValueError("The auxiliary classifier needs two pixels after two thirds of the cells: switch it off.")
        windows = [min(side - 1, -(-5 * side // 8)) for side in size]
        steps = [side - window for side, window in zip(size, windows, strict=True)]
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d((windows[0], windows[1]), (steps[0], steps[1]), count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(768, way)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``."""
        scores = self.classifier(self.layers(inputs))
        assert isinstance(scores, Tensor)
        return scores


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
