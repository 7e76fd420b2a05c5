"""How a mixture wires the cell of NAS-Bench-101: which vertices count, and which channels each of them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Wiring:
    """Edges of a cell as probabilities.

    Attributes:
        edges: the weight of each edge that may be there; one out of a vertex that nothing reaches counts for nothing.
        subsets: the probability of each set of middle vertices that the output concatenates, shape ``(sets,)``.
    """

    edges: Mapping[tuple[int, int], Tensor]
    subsets: Tensor


def wire(edges: Mapping[tuple[int, int], Tensor], members: Tensor) -> Wiring:
    """Weigh edges by whether their source is reached, each as if independent of the others.

    On weights of zero and one this is the pruning of what the input does not reach.

    Args:
        edges: the weight of each edge that may be there, scalars.
        members: of each set of middle vertices, 1 for those in it, shape ``(sets, middle vertices)``.
    """
    middle = members.shape[1]
    one = members.new_ones(())
    reached = {0: one}
    weighed: dict[tuple[int, int], Tensor] = {}
    for target in range(1, middle + 2):
        missed = one
        for source in range(target):
            if (source, target) in edges and source in reached:
                weighed[source, target] = edges[source, target] * reached[source]
                missed = missed * (1 - weighed[source, target])
        if any((source, target) in weighed for source in range(target)):
            reached[target] = 1 - missed
    subsets = members.new_ones(len(members))
    for vertex in range(1, middle + 1):
        joined = weighed.get((vertex, middle + 1), 0 * one)
        inside = members[:, vertex - 1]
        subsets = subsets * (inside * joined + (1 - inside) * (1 - joined))
    return Wiring(weighed, subsets)


class ChannelSplit(nn.Module):
    """Splits the channels of a cell under a wiring in probability, and does on one without doubt what the child does.

    In the child a vertex has as many channels as its share in the concatenation (``split_channels``), while in the
    supernet each has the output's ``width``. So what enters a vertex is masked from the first channel that the child
    lacks, by the probability that it does: its leading channels are then the child's. And what the output gets from a
    vertex is multiplied by a matrix: the mean, over all sets of vertices that may be concatenated, of the one that
    moves the vertex's leading channels to its share.

    Args:
        middle: number of middle vertices.
        width: channels of the output, at least ``middle``.
    """

    members: Tensor
    extra: Tensor
    below: Tensor
    at: Tensor
    shares: Tensor
    moves: Tensor

    def __init__(self, middle: int, width: int) -> None:
        super().__init__()
        places = [(place, size) for size in range(1, middle + 1) for place in range(size)]
        sets = 1 << middle
        members, extra = torch.zeros(sets, middle), torch.zeros(sets, middle)
        below, at = torch.zeros(sets, width), torch.zeros(sets, width + 1)
        shares = torch.zeros(sets, middle, len(places))
        for number in range(sets):
            inside = [vertex for vertex in range(middle) if number >> vertex & 1]
            if not inside:
                continue
            share, rest = divmod(width, len(inside))
            below[number, :share] = 1
            at[number, share] = 1
            for place, vertex in enumerate(inside):
                members[number, vertex] = 1
                extra[number, vertex] = float(place < rest)
                shares[number, vertex, places.index((place, len(inside)))] = 1
        moves = torch.zeros(len(places), width, width)
        for number, (place, size) in enumerate(places):
            share, rest = divmod(width, size)
            begin = place * share + min(place, rest)
            for channel in range(share + (place < rest)):
                moves[number, begin + channel, channel] = 1
        tables = {"members": members, "extra": extra, "below": below, "at": at[:, :width]}
        for name, table in {**tables, "shares": shares, "moves": moves}.items():
            self.register_buffer(name, table, persistent=False)

    def masks(self, wiring: Wiring) -> list[Tensor]:
        """For each middle vertex the probability that it has a channel, shape ``(width,)``."""
        middle = self.members.shape[1]
        larger: dict[int, Tensor] = {}  # whether a vertex has a channel more than the least, for each set
        result = []
        for vertex in range(middle, 0, -1):
            none = torch.ones_like(wiring.subsets)
            for target in range(vertex + 1, middle + 1):
                edge = wiring.edges.get((vertex, target))
                none = none if edge is None else none * (1 - edge * larger[target])
            inside = self.members[:, vertex - 1]
            larger[vertex] = inside * self.extra[:, vertex - 1] + (1 - inside) * (1 - none)
            result.append(wiring.subsets @ self.below + (wiring.subsets * larger[vertex]) @ self.at)
        return result[::-1]

    def shifts(self, wiring: Wiring) -> Tensor:
        """For each middle vertex the matrix from its channels to the output's, shape ``(middle, width, width)``."""
        shares = torch.einsum("s,svp->vp", wiring.subsets, self.shares)
        return torch.einsum("vp,poc->voc", shares, self.moves)
