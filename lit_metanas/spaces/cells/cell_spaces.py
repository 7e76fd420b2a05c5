"""The cell spaces of DARTS and MetaNAS, and the notation of DARTS's cells in the literature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import product
from operator import itemgetter
from typing import Self

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Architecture, Choice, check_positive, edge_name, labels_of, restrict
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_networks import (
    KINDS,
    CellChild,
    CellLayout,
    CellNetwork,
    inputs_name,
    is_edge,
    sources,
)
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost

DARTS_OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

METANAS_OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "conv_1x5_5x1",
    "conv_3x3",
    "sep_conv_3x3",
    "dil_conv_3x3",
)

FORM = "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"

_STEPS = r"\[((?:\('\w+',\d\),?){8})\]"
_OUTPUTS = r"(?:range\(2,6\)|[\[(]2,3,4,5[\])])"
_GENOTYPE = ",".join(f"{kind}={_STEPS},{kind}_concat={_OUTPUTS}" for kind in KINDS)


class DARTSCell(SearchSpace):
    """Four nodes with two inputs each, eight operations (Liu et al. 2019); about 10^18 architectures.

    For each node there is the pair of its inputs, for instance ``normal.inputs4: 0+2``, and for each edge an operation,
    for instance ``normal.edge0-4: sep_conv_3x3``, active where the pair holds the edge, as in NAS-Bench-301 (Zela et
    al. 2022). In the supernet a node is the sum over all edges from earlier
    nodes, each a mixture of all operations: an edge that an architecture leaves out has the gate ``none``, and the
    gates of the choices of inputs are not looked at. ``derive`` takes for each node the two edges of the largest
    probability of an operation other than ``none``. ``none`` is no operation of the paper's architectures: neither
    drawn nor proposed, yet it can be built.

    ``from_genotype`` and ``to_genotype`` read and write the literature's notation. The defaults are those of the
    paper's search on CIFAR-10; its networks there have 36 channels, 20 cells, an auxiliary classifier, and no
    batch-norm after pooling, which its search has.

    Args:
        channels: of each node before the first reduction cell, which doubles them as the second does.
        cells: of the network; those at one and two thirds of the depth are reduction cells.
        normalised_pools: whether a pooling is followed by a batch-norm without scale and shift. It is in both
            supernet and child, so that a child may inherit.
        auxiliary: whether a child has an auxiliary classifier in training, whose loss counts 0.4.
        fixed: labels that single choices are restricted to, for instance ``{normal.edge0-2: [skip_connect]}``. An edge
            without ``none`` is always kept.

    Raises:
        ValueError: a number is not positive, a choice or label is unknown, or more than two edges of a node are kept.

    Example:
        >>> space = lm.spaces.DARTSCell(channels=8, cells=3)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    child_class = CellChild

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 8,
        normalised_pools: bool = True,
        auxiliary: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_positive(self.name, {"cells": cells, "channels": channels})
        self.layout = CellLayout(4, cells, channels, DARTS_OPERATIONS, normalised_pools, auxiliary)
        self.choices = self._with_edges_kept(restrict(self.layout.choices(), fixed or {}, self.name))

    def from_genotype(self, text: str) -> Architecture:
        """The architecture of a notation such as ``Genotype(normal=[('sep_conv_3x3', 0), …], …)``.

        Raises:
            ValueError: the text is not a genotype of this space.
        """
        found = re.fullmatch(rf"Genotype\({_GENOTYPE}\)", re.sub(r"\s", "", text).replace('"', "'"))
        if found is None:
            raise ValueError(f"'{text[:80]}' is not a genotype: write {FORM}, with eight pairs for each cell.")
        labels: dict[str, str] = {}
        for kind, steps in zip(KINDS, found.groups(), strict=True):
            pairs = re.findall(r"'(\w+)',(\d)", steps)
            for place, node in enumerate(self.layout.targets()):
                # In whatever order a node's two inputs are given.
                edges = {int(source): operation for operation, source in pairs[2 * place : 2 * place + 2]}
                if len(edges) < 2 or max(edges) >= node:
                    raise ValueError(
                        f"Node {node} of the genotype's {kind} cell: give two inputs from 0 to {node - 1}."
                    )
                labels[inputs_name(kind, node)] = "+".join(map(str, sorted(edges)))
                labels |= {edge_name(source, node, kind): operation for source, operation in edges.items()}
        return self.canonical(labels)

    def to_genotype(self, architecture: Mapping[str, str]) -> str:
        """The inverse of ``from_genotype``; a node's two inputs come in their order."""
        labels, parts = self.canonical(architecture), []
        for kind in KINDS:
            steps = [
                f"('{labels[edge_name(source, node, kind)]}', {source})"
                for node in self.layout.targets()
                for source in sources(labels[inputs_name(kind, node)])
            ]
            parts.append(f"{kind}=[{', '.join(steps)}], {kind}_concat=range(2, 6)")
        return f"Genotype({', '.join(parts)})"

    def derive(self, logits: Mapping[str, Tensor]) -> Architecture:
        """For each node the two strongest edges, each with its best operation but ``none`` (Section 2.4).

        An edge is as strong as the probability of that operation among all, ``none`` too.
        """
        labels: dict[str, str] = {}
        left = labels_of(self.choices)
        for kind, node in product(KINDS, self.layout.targets()):
            strengths: dict[int, float] = {}
            for source in range(node):
                name = edge_name(source, node, kind)
                strengths[source], labels[name] = _best(left[name], logits[name])
            name = inputs_name(kind, node)
            # The pair of the largest sum: of all pairs it is that of the two strongest edges.
            labels[name] = max(left[name], key=lambda pair: sum(strengths[source] for source in sources(pair)))
        return self.canonical(labels)

    def proposed_labels(self, choice: Choice) -> tuple[str, ...]:
        """All labels but ``none``."""
        return tuple(label for label in choice.labels if label != "none") or choice.labels

    def body(self, shape: Shape, build: Builder) -> CellNetwork:
        """Stem and cells, which look at the edges' operations alone: see the class."""
        left = {name: labels for name, labels in (build.labels or {}).items() if is_edge(name)}
        return CellNetwork(build, self.layout, shape, left)

    def training_scores(self, child: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """The classifier's scores, and the auxiliary classifier's where there is one."""
        assert isinstance(child, CellChild)
        return child.all_scores(inputs)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child, without an auxiliary classifier."""
        if self.layout.auxiliary:
            plain = copy(self)
            plain.layout = replace(self.layout, auxiliary=False)
            return plain.cost(architecture, shape, way)
        return super().cost(architecture, shape, way)

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label, and pairs of inputs hold all that is kept."""
        space = super().restricted(labels)
        space.choices = self._with_edges_kept(space.choices)
        return space

    def _with_edges_kept(self, choices: Sequence[Choice]) -> tuple[Choice, ...]:
        # A pair that leaves out an edge without `none` is dropped: a supernet would compute the edge.
        labels, kept = labels_of(choices), []
        for choice in choices:
            if not is_edge(choice.name):
                kind, _, node = choice.name.partition(".inputs")
                names = [edge_name(source, int(node), kind) for source in range(int(node))]
                must = {source for source, name in enumerate(names) if "none" not in labels[name]}
                left = tuple(pair for pair in choice.labels if must <= set(sources(pair)))
                if not left:
                    raise ValueError(
                        f"{self.name}: no pair of '{choice.name}' holds all edges without 'none' "
                        f"({', '.join(names[source] for source in sorted(must))}): leave 'none' among their labels."
                    )
                choice = replace(choice, labels=left)
            kept.append(choice)
        return tuple(kept)


def _best(labels: Sequence[str], logits: Tensor) -> tuple[float, str]:
    shares = torch.softmax(logits.detach(), 0).tolist()
    found = [(share, label) for share, label in zip(shares, labels, strict=True) if label != "none"]
    return max(found, key=itemgetter(0), default=(-1.0, "none"))


class MetaNASCell(SearchSpace):
    """Three nodes with two inputs each, seven operations and no ``none`` (Elsken et al. 2020, Section 3.3).

    The choices are those of ``DARTSCell``. In the supernet a node is a weighted sum over the pairs of its
    possible inputs, of the two edges' mixtures of operations: so the inputs, too, are pruned softly. With
    ``AnnealedSoftmax`` and an inner loop that moves logits nearly one pair and one operation an edge are left when a
    task is learned, and the derived network computes nearly the same. An edge is weighted by all pairs that it is part
    of. Cells are stacked as in DARTS. ``docs/spaces_and_searchers.md`` compares the space with the paper's.

    Args:
        channels: of each node before the first reduction cell, which doubles them as the second does.
        cells: of the network; those at one and two thirds of the depth are reduction cells.
        normalised_pools: whether a pooling is followed by a batch-norm without scale and shift.
        fixed: labels that single choices are restricted to, for instance ``{normal.inputs4: [0+2]}``.

    Raises:
        ValueError: a number is not positive, or a choice or label is unknown.

    Example:
        >>> space = lm.spaces.MetaNASCell(channels=8, cells=2)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    child_class = CellChild

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 4,
        normalised_pools: bool = True,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_positive(self.name, {"cells": cells, "channels": channels})
        self.layout = CellLayout(3, cells, channels, METANAS_OPERATIONS, normalised_pools)
        self.choices = restrict(self.layout.choices(), fixed or {}, self.name)

    def body(self, shape: Shape, build: Builder) -> CellNetwork:
        """Stem and cells: all of one kind have the same architecture, and each its own weights."""
        return CellNetwork(build, self.layout, shape, build.labels or {})
