"""The space of NAS-Bench-Graph, and its encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import permutations, product, starmap
from zlib import crc32

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice, check_known
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.encodings import Encoding, count_features

LINKS = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""The nine macro structures, in their published order: for each node what it reads, 0 for the input, 1 for node 1."""

GRAPH_OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""The operations, in their published order."""

PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", "skip")
"""The operations of the smaller space that the data set ``proteins`` was run on."""

GRAPH_NODES = 4


class NASBenchGraph(ChoiceSpace):
    """The space of NAS-Bench-Graph (Qin, Zhang, Wang and Zhu 2022): 26,206 different graph neural networks.

    Each of four nodes reads the input or one node before it; what nobody reads is concatenated into the output. So
    a network is a forest of operations, and two networks are one if their forests are, once superfluous skip
    connections are moved to the input, where they change nothing. ``canonical`` returns the one of these that the
    published table lists. The networks themselves run on graphs and are not built here.

    Choices: ``link``, such as ``0,0,1,2``, and ``op1`` to ``op4``.

    Args:
        operations: the candidates of every node; those of ``proteins`` are ``gcn, sage, arma, fc, skip``.

    Raises:
        ValueError: an operation is unknown, or there is none but skip.

    Example:
        >>> space = lm.spaces.NASBenchGraph()
        >>> space.violation(space.sample(torch.Generator())) is None
        True
    """

    def __init__(self, operations: Sequence[str] = GRAPH_OPERATIONS) -> None:
        check_known(self.name, "operations", operations, GRAPH_OPERATIONS)
        if not set(operations) - {"skip"}:
            raise ValueError("A graph network of skip connections alone has no weights: give another operation.")
        self.operations = tuple(sorted(operations, key=GRAPH_OPERATIONS.index))
        self.choices = (
            Choice("link", tuple(",".join(map(str, link)) for link in LINKS)),
            *(Choice(f"op{node}", self.operations, group="op") for node in range(1, GRAPH_NODES + 1)),
        )

    def architecture(self, link: Sequence[int], ops: Sequence[str]) -> Architecture:
        """The canonical architecture of the paper's notation, such as ``[0, 1, 2, 1], ["gcn", "gin", "fc", "cheb"]``.

        Args:
            link: what each node reads: 0 is the input, 1 the first node; one before it. Any such list will do.
            ops: each node's operation.

        Raises:
            ValueError: the link is not a list of four such numbers, or an operation is unknown.
        """
        if len(link) != GRAPH_NODES or not all(0 <= father <= node for node, father in enumerate(link)):
            raise ValueError(
                f"The link {list(link)} is not one of NAS-Bench-Graph: node i reads 0 (the input) to i - 1."
            )
        if len(ops) != GRAPH_NODES:
            raise ValueError(f"NAS-Bench-Graph has four operations: got {len(ops)}, {', '.join(ops)}.")
        check_known(self.name, "ops", ops, self.operations)
        link, ops = _standard(tuple(link), tuple(ops))
        labels = {f"op{node}": operation for node, operation in enumerate(ops, start=1)}
        return Architecture({"link": ",".join(map(str, link)), **labels})

    def link_and_ops(self, labels: Mapping[str, str]) -> tuple[list[int], list[str]]:
        """The architecture in the paper's notation, as ``architecture`` reads it."""
        return list(map(int, labels["link"].split(","))), [labels[f"op{node}"] for node in range(1, GRAPH_NODES + 1)]

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """The architecture that the published table lists for this network."""
        return self.architecture(*self.link_and_ops(super().canonical(labels)))

    def violation(self, architecture: Architecture) -> str | None:
        """A network without any weights is in no table."""
        _, ops = self.link_and_ops(architecture)
        if set(ops) == {"skip"}:
            return "all four operations are skip"
        return None

    def key(self, architecture: Mapping[str, str]) -> int:
        """The published hash of an architecture: decimal digits of its link and operations, the same in both spaces."""
        link, ops = self.link_and_ops(self.canonical(architecture))
        digits = [LINKS.index(tuple(link)), *map(GRAPH_OPERATIONS.index, ops)]
        return int("".join(map(str, digits)))

    def architectures(self) -> Iterator[Architecture]:
        """All different networks with weights, 26,206 of them in the space of nine operations."""
        networks = product(LINKS, product(self.operations, repeat=GRAPH_NODES))
        yield from self._buildable(starmap(self.architecture, networks))


@cache  # at most 24 links times 9 ** 4 operations
def _standard(link: tuple[int, ...], ops: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    # The published representative: skips in front, a published link, operations as early as its symmetry allows.
    link, ops = _skips_in_front(link, ops)
    candidates = [(moved, tuple(ops[node] for node in order)) for order, moved in _orders(link)]
    return min(candidates, key=lambda pair: [GRAPH_OPERATIONS.index(operation) for operation in pair[1]])


@cache
def _orders(link: tuple[int, ...]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    # The orders of the nodes in which a link is a published one, with that.
    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for order in permutations(range(GRAPH_NODES)):
        place = {0: 0, **{node + 1: new + 1 for new, node in enumerate(order)}}
        moved = tuple(place[link[node]] for node in order)
        if moved in LINKS:
            found.append((order, moved))
    return found


def _skips_in_front(link: tuple[int, ...], ops: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    # Move skip connections that do nothing to the input, one after the other.
    # A skip does something only if nobody reads it, so that it adds what it reads to the output; some other node reads
    # the same, else that would be in the output anyway; and what it reads is not the input, which has another width.
    fathers = dict(enumerate(link, start=1))
    for node, operation in enumerate(ops, start=1):
        readers = [other for other, father in fathers.items() if father == node]
        if operation == "skip" and readers:
            fathers.update(dict.fromkeys(readers, fathers.pop(node)))
    read = list(fathers.values())
    kept = [node for node in fathers if ops[node - 1] != "skip" or (fathers[node] and read.count(fathers[node]) > 1)]
    front = GRAPH_NODES - len(kept)
    place = {0: front, **{node: front + new for new, node in enumerate(kept, start=1)}}
    link = (*range(front), *(place[fathers[node]] for node in kept))
    return link, ("skip",) * front + tuple(ops[node - 1] for node in kept)


BUCKETS = 128  # for paths, by feature hashing: 7,380 are thinkable, and a network has at most four


class NASBenchGraphEncoding(Encoding):
    """Features of the forest of operations that a network is, in six groups.

    The link; the operation of each position; how often there is each operation; how often each reads the input, is
    read by nobody, and reads each other one; the paths from the input to the output, hashed; and for the shape of the
    forest its depth, largest number of readers, outputs, and nodes that are not skips. Vectors of both spaces (all
    operations, and those of ``proteins``) are comparable.

    Args:
        space: whose architectures are encoded.

    Example:
        >>> encoding = lm.spaces.NASBenchGraphEncoding(lm.spaces.NASBenchGraph(operations=("gcn", "skip")))
        >>> encoding.candidates.whole
        True
    """

    def __init__(self, space: NASBenchGraph) -> None:
        self.space: NASBenchGraph = space
        size = len(GRAPH_OPERATIONS)
        self.groups = (len(LINKS), GRAPH_NODES * size, size, size * (size + 2), BUCKETS, 4)

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64: counts."""
        read = [self.space.link_and_ops(architecture) for architecture in architectures]
        counts = count_features([_places(link, ops) for link, ops in read], self.groups[:-1])
        shapes = torch.tensor([_shape(link, ops) for link, ops in read], dtype=torch.float64).reshape(len(read), 4)
        return torch.cat([counts, shapes], dim=1)


def _places(link: Sequence[int], ops: Sequence[str]) -> tuple[list[int], ...]:
    numbers = [GRAPH_OPERATIONS.index(operation) for operation in ops]
    size = len(GRAPH_OPERATIONS)
    leaves = _leaves(link)
    relations = [size + numbers[leaf - 1] for leaf in leaves]
    fathers = zip(numbers, link, strict=True)
    relations += [(father and (2 + numbers[father - 1]) * size) + number for number, father in fathers]
    positions = [place * size + number for place, number in enumerate(numbers)]
    paths = [crc32(" ".join(_path(leaf, link, ops)).encode()) % BUCKETS for leaf in leaves]
    return [LINKS.index(tuple(link))], positions, numbers, relations, paths


def _leaves(link: Sequence[int]) -> list[int]:
    return [node for node in range(1, GRAPH_NODES + 1) if node not in link]


def _path(node: int, link: Sequence[int], ops: Sequence[str]) -> list[str]:
    found: list[str] = []
    while node:
        found.insert(0, ops[node - 1])
        node = link[node - 1]
    return found


def _shape(link: Sequence[int], ops: Sequence[str]) -> tuple[int, ...]:
    leaves = _leaves(link)
    depth = max(len(_path(leaf, link, ops)) for leaf in leaves)
    readers = max(list(link).count(node) for node in range(1, GRAPH_NODES + 1))
    return depth, readers, len(leaves), sum(operation != "skip" for operation in ops)
