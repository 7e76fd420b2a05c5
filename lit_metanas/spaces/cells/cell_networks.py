"""Networks of cells: their layout and its choices, the cell, the network and the child."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.body_networks import BodyChild, convolved_flops
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_operations import CELL_OPERATIONS, CellState, Norms, Operation, entry
from lit_metanas.spaces.mixed_layers import CountedFlops, weighed_outputs
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.operations import with_dense_gradient

STRIDES = {"normal": 1, "reduce": 2}  # cells that keep the size of the image, and cells that halve it

KINDS = tuple(STRIDES)

# MetaNAS's published space calls a separable convolution `conv_3x3`.
EDGE_MAKERS: Mapping[str, Operation] = {**CELL_OPERATIONS, "conv_3x3": CELL_OPERATIONS["separable_conv_3x3"]}
"""What makes the operation of an edge, by its label other than ``none``."""

INPUTS = 2  # nodes 0 and 1 of a cell are the outputs of the two cells before it


def inputs_name(kind: str, node: int) -> str:
    """The name of the choice of a node's two inputs, for instance ``normal.inputs2``."""
    return f"{kind}.inputs{node}"


def is_edge(name: str) -> bool:
    """Whether a choice of this name is of an edge's operation, not of a node's inputs."""
    return ".edge" in name


def sources(pair: str) -> tuple[int, ...]:
    """The two inputs of a pair by its label, such as ``0+1``."""
    return tuple(map(int, pair.split("+")))


class Site(NamedTuple):
    """One cell of a network."""

    kind: str  # of KINDS
    width: int  # channels of each node
    before: int  # channels of the output of the last cell but one
    last: int  # channels of the output of the last cell
    shrunk: bool  # whether the last cell has halved the image, so that the two inputs differ in size
    size: tuple[int, int]  # height and width of the output


@dataclass(frozen=True)
class CellLayout:
    """How cells are stacked (Liu et al. 2019): at one and two thirds of the depth stands a reduction cell."""

    nodes: int  # that a cell computes; its output is all of them, side by side
    cells: int
    channels: int  # of each node before the first reduction; each reduction doubles them
    operations: tuple[str, ...]  # the candidates of each edge
    normalised_pools: bool
    auxiliary: bool = False  # whether a child has an auxiliary classifier in training

    @property
    def stem(self) -> int:
        """Channels of the stem."""
        return 3 * self.channels

    @property
    def second_reduction(self) -> int:
        """Place of the cell at two thirds of the depth."""
        return 2 * self.cells // 3

    def choices(self) -> list[Choice]:
        """Those of NAS-Bench-301 (Zela et al. 2022): a pair of inputs for each node, and an operation for each edge."""
        return [choice for kind in KINDS for node in self.targets() for choice in self._node(kind, node)]

    def targets(self) -> range:
        """The nodes that a cell computes."""
        return range(INPUTS, INPUTS + self.nodes)

    def sites(self, height: int, width: int) -> list[Site]:
        """The cells from input to output, for an image of this size."""
        size, channels, before, last, shrunk = (height, width), self.channels, self.stem, self.stem, False
        result = []
        for place in range(self.cells):
            reduces = place in (self.cells // 3, self.second_reduction)
            if reduces:
                size, channels = ((size[0] + 1) // 2, (size[1] + 1) // 2), 2 * channels
            result.append(Site(KINDS[reduces], channels, before, last, shrunk, size))
            before, last, shrunk = last, self.nodes * channels, reduces
        return result

    def _node(self, kind: str, node: int) -> Iterator[Choice]:
        pairs = tuple(f"{first}+{second}" for first, second in combinations(range(node), 2))
        inputs = Choice(inputs_name(kind, node), pairs, f"inputs{node}")
        yield inputs
        for source in range(node):
            holding = frozenset(pair for pair in inputs.labels if source in sources(pair))
            yield Choice(edge_name(source, node, kind), self.operations, f"{kind}.edge", ((inputs.name, holding),))


class Cell(nn.Module):
    """One cell: each node is the sum of its edges, or a weighted sum over pairs of edges."""

    def __init__(self, site: Site, layout: CellLayout, labels: Mapping[str, Sequence[str]], norms: Norms) -> None:
        super().__init__()
        kind, width, build = site.kind, site.width, norms.build
        self.nodes = tuple(layout.targets())
        self.reuse = build.mixed  # in a supernet all edges of a state share what they begin with, such as ReLU
        self.before = entry(site.before, width, site.shrunk, norms)
        self.last = entry(site.last, width, False, norms)
        self.stride = STRIDES[kind]
        self.edges = nn.ModuleDict()
        inputs = {node: inputs_name(kind, node) for node in self.nodes}
        self.inputs = {node: build.question(name, labels[name]) for node, name in inputs.items() if name in labels}
        names = {(source, node): edge_name(source, node, kind) for node in self.nodes for source in range(node)}
        for (source, node), name in names.items():
            # Inputs of a cell are as large as its last one was.
            size = (width, self.stride if source < INPUTS else 1, norms)
            makers = {label: partial(EDGE_MAKERS[label], *size) for label in labels.get(name, ()) if label != "none"}
            if name in labels:
                self.edges[f"{source}-{node}"] = build.choice(name, dict.fromkeys(labels[name]) | makers)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """Outputs of the two cells before to ``(n, nodes * width, height / stride, width / stride)``."""
        values = [self.before(before), self.last(last)]
        states = [self._state(value) for value in values]
        for node in self.nodes:
            joined = self._join(node, states)
            if joined is None:
                joined = torch.zeros_like(values[0][:, :, :: self.stride, :: self.stride])
            values.append(with_dense_gradient(joined))
            states.append(self._state(values[-1]))
        return torch.cat(values[self.nodes[0] :], 1)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        edges = (self.edges[f"{source}-{node}"] for node in self.nodes for source in self._computed_sources(node))
        return sum(map(count.computed, (self.before, self.last, *edges)))

    def _computed_sources(self, node: int) -> list[int]:
        known = [source for source in range(node) if f"{source}-{node}" in self.edges]
        if node not in self.inputs:
            return known
        wanted = {source for pair in self.inputs[node].computed_labels() for source in sources(pair)}
        return sorted(wanted.intersection(known))

    def _state(self, value: Tensor) -> Tensor | CellState:
        return CellState(value) if self.reuse else value

    def _join(self, node: int, states: Sequence[Any]) -> Tensor | None:
        # Each state is a tensor or a `CellState`.
        weights = self._weights(node)
        edges = {source: self.edges[f"{source}-{node}"] for source in self._computed_sources(node)}
        return sum_of([weighed_outputs(edge, states[source], weights.get(source)) for source, edge in edges.items()])

    def _weights(self, node: int) -> dict[int, Tensor]:
        # What the outputs of a node's edges are multiplied by, by source; nothing for one.
        if node not in self.inputs:
            return {}
        gate, pairs = self.inputs[node].gate(), self.inputs[node].labels
        if gate.index is not None:
            if (factor := gate.factor()) is None:
                return {}
            return dict.fromkeys(sources(pairs[gate.index]), factor)
        # A sum over pairs is one over edges, each weighted by all pairs that it is part of.
        weights: dict[int, Tensor] = {}
        for weight, pair in zip(gate.weights.unbind(), pairs, strict=True):
            for source in sources(pair):
                weights[source] = weights[source] + weight if source in weights else weight
        return weights


class CellNetwork(nn.Module):
    """Stem and cells."""

    def __init__(self, build: Builder, layout: CellLayout, shape: Shape, labels: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.layout = layout
        norms = Norms(build, layout.normalised_pools)
        channels, height, width = image_shape(shape)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, layout.stem, 3, padding=1, bias=False), norms(layout.stem, "stem")
        )
        self.cells = nn.ModuleList(Cell(site, layout, labels, norms) for site in layout.sites(height, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of the last cell, for inputs of shape ``(n, channels, height, width)``."""
        return self.outputs(inputs)[-1]

    def outputs(self, inputs: Tensor) -> list[Tensor]:
        """The output of each cell."""
        last = self.stem(inputs)
        outputs = [last, last]
        for cell in self.cells:
            outputs.append(cell(outputs[-2], outputs[-1]))
        return outputs[2:]


class CellChild(BodyChild):
    """Stem, cells, global average and a linear classifier; in training also an auxiliary classifier where wanted."""

    body: CellNetwork

    def __init__(self, body: CellNetwork, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__(body, shape, way, sliced=sliced)
        layout = body.layout
        self.auxiliary: nn.Module | None = None
        self.second_reduction = layout.second_reduction
        if layout.auxiliary:
            site = layout.sites(*shape[1:])[self.second_reduction]
            self.auxiliary = auxiliary_head(layout.nodes * site.width, site.size, way)

    _count = staticmethod(convolved_flops)

    def all_scores(self, inputs: Tensor) -> list[Tensor]:
        """The classifier's scores, and the auxiliary one's where there is one."""
        outputs = self.body.outputs(inputs)
        scores = [self.head(outputs[-1].mean((2, 3)))]
        if self.auxiliary is not None:
            scores.append(self.auxiliary(outputs[self.second_reduction]))
        return scores

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """See ``BodyChild.inherit``; an auxiliary classifier is copied where it fits."""
        super().inherit(weights)
        own = self._auxiliary()
        if all(name in weights and weights[name].shape == tensor.shape for name, tensor in own.items()):
            for name, tensor in own.items():
                tensor.copy_(weights[name])

    def supernet_weights(self) -> dict[str, Tensor]:
        """See ``ChildNetwork.supernet_weights``; an auxiliary classifier is among them."""
        return super().supernet_weights() | {name: own.detach().clone() for name, own in self._auxiliary().items()}

    def _auxiliary(self) -> dict[str, Tensor]:
        if self.auxiliary is None:
            return {}
        return dict(self.auxiliary.state_dict(prefix="auxiliary.", keep_vars=True))


def auxiliary_head(channels: int, size: tuple[int, int], way: int) -> nn.Module:
    """A small classifier in mid-network, whose loss helps training (Liu et al. 2019; Szegedy et al. 2015)."""
    if min(size) < 2:
        raise ValueError("The auxiliary classifier needs two pixels after two thirds of the cells: switch it off.")
    # As in DARTS for images of 8x8 pixels; for others the windows are 5/8 of the image, too.
    windows = [min(side - 1, -(-5 * side // 8)) for side in size]
    steps = [side - window for side, window in zip(size, windows, strict=True)]
    layers = nn.Sequential(
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
    return nn.Sequential(OrderedDict(layers=layers, classifier=nn.Linear(768, way)))
