"""The cell space of DARTS, and its genotypes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lit_metanas.io.text import number_of
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.cells.cell_layout import INPUTS, KINDS, CellLayout, edge_name, inputs_name, pairs, sources
from lit_metanas.spaces.cells.cell_space import CellSpace

NODES = 4
LONGEST = 100
"""Numbers of a range that are looked at: more would fill the memory."""
FORM = "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def written(labels: Mapping[str, str]) -> str:
    """The notation of an architecture: for each node, two pairs of an operation and its input, by input."""
    parts = []
    for kind in KINDS:
        steps = []
        for node in range(INPUTS, INPUTS + NODES):
            for source in labels[inputs_name(kind, node)].split("+"):
                steps.append(f"('{labels[edge_name(kind, int(source), node)]}', {source})")
        parts.append(f"{kind}=[{', '.join(steps)}], {kind}_concat=range({INPUTS}, {INPUTS + NODES})")
    return f"Genotype({', '.join(parts)})"


def read(text: str) -> dict[str, str]:
    """The inverse of ``written``: labels by choice, in whatever order a node's two inputs are given.

    Nothing is executed. Lists may be written as tuples, and ``range(2, 6)`` as a list.

    Raises:
        ValueError: the text is no genotype, or not of a cell in which each of four nodes has two different inputs.
    """
    fields = _fields(text)
    labels: dict[str, str] = {}
    for kind in KINDS:
        concat = fields[f"{kind}_concat"]
        if list(concat) != list(range(INPUTS, INPUTS + NODES)):
            raise ValueError(f"The genotype's {kind}_concat is {list(concat)}: a DARTS cell's output is nodes 2 to 5.")
        steps = fields[kind]
        if len(steps) != 2 * NODES:
            pairs = number_of(len(steps), "pair")
            raise ValueError(f"The genotype's {kind} cell has {pairs} (operation, input): give {2 * NODES}.")
        for place in range(NODES):
            labels |= _node(kind, INPUTS + place, steps[2 * place : 2 * place + 2])
    return labels


def _node(kind: str, node: int, steps: Sequence[object]) -> dict[str, str]:
    found: dict[int, str] = {}
    for step in steps:
        match step:
            case (str(operation), int(source)) if not isinstance(source, bool) and 0 <= source < node:
                found[source] = operation
            case _:
                raise ValueError(
                    f"'{step}' at node {node} of the genotype's {kind} cell is no pair of an operation and an input "
                    f"from 0 to {node - 1}."
                )
    if len(found) < 2:
        raise ValueError(f"Node {node} of the genotype's {kind} cell has input {min(found)} twice: give two inputs.")
    pair = "+".join(str(source) for source in sorted(found))
    assert pair in pairs(node)
    return {
        inputs_name(kind, node): pair,
        **{edge_name(kind, source, node): operation for source, operation in found.items()},
    }


def _fields(text: str) -> dict[str, Sequence[object]]:
    """The four arguments of a genotype, as plain values."""
    names = [f"{kind}{suffix}" for kind in KINDS for suffix in ("", "_concat")]
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"):
            raise ValueError("not a call")
        given = dict(zip(names, call.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
        fields = {name: _value(given[name]) for name in names}
        if len(call.args) + len(call.keywords) != len(names) or not all(
            isinstance(value, (list, tuple, range)) for value in fields.values()
        ):
            raise ValueError("not four lists")
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(f"'{text[:80]}' is no genotype: write {FORM}.") from error
    return fields


def _value(node: ast.expr) -> Sequence[object]:
    """A literal, or the range of two literal whole numbers."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        first, last = (int(ast.literal_eval(bound)) for bound in node.args)
        if last - first > LONGEST:
            raise ValueError("a long range")
        return range(first, last)
    value: Sequence[object] = ast.literal_eval(node)
    return value


OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


class DARTSCell(CellSpace):
    """Four nodes with two inputs each, eight operations (Liu et al. 2019); about 10^18 architectures.

    In the supernet a node is the sum over all edges from earlier nodes, each a mixture of all operations: an edge
    that an architecture leaves out has the gate ``none``, and the gates of the choices of inputs are not looked at.
    ``derive`` takes for each node the two edges of the largest probability of an operation other than ``none``.
    ``none`` is no operation of the paper's architectures: neither drawn nor proposed, yet it can be built.

    ``from_genotype`` and ``to_genotype`` tell the literature's notation. The defaults are those of the paper's search
    on CIFAR-10; its networks there have 36 channels, 20 cells, an auxiliary classifier, and no batch-norm after
    pooling, which its search has.

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
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.DARTSCell(channels=8, cells=3)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 8,
        normalised_pools: bool = True,
        auxiliary: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(
            operations=OPERATIONS,
            layout=CellLayout(nodes=NODES, cells=cells, channels=channels),
            normalised_pools=normalised_pools,
            auxiliary=auxiliary,
            fixed=fixed,
        )

    @property
    def weighed(self) -> tuple[Choice, ...]:
        """The edges' operations alone: see the class."""
        return tuple(choice for choice in self.choices if choice.name not in self._pairs)

    def from_genotype(self, text: str) -> Architecture:
        """The architecture of a notation such as ``Genotype(normal=[('sep_conv_3x3', 0), …], …)``.

        Raises:
            ValueError: the text is no genotype of this space.
        """
        return self.canonical(read(text))

    def to_genotype(self, architecture: Mapping[str, str]) -> str:
        """The inverse of ``from_genotype``; a node's two inputs come in their order."""
        return written(self.canonical(architecture))

    def derive(self, logits: Mapping[str, Tensor]) -> Architecture:
        """For each node the two strongest edges, each with its best operation but ``none`` (Section 2.4).

        An edge is as strong as the probability of that operation among all, ``none`` too.
        """
        labels: dict[str, str] = {}
        by_name = {choice.name: choice for choice in self.choices}
        for kind in KINDS:
            for node in self.layout.targets():
                strengths: list[float] = []
                for source in range(node):
                    choice = by_name[edge_name(kind, source, node)]
                    strength, labels[choice.name] = _best(choice, logits[choice.name])
                    strengths.append(strength)
                name = inputs_name(kind, node)
                labels[name] = _strongest(by_name[name].labels, strengths)
        return self.canonical(labels)

    def proposed(self, choice: Choice) -> tuple[str, ...]:
        """All labels but ``none``."""
        return tuple(label for label in choice.labels if label != "none") or choice.labels

    def _consistent(self, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Drop the pairs that leave out an edge without ``none``: a supernet would compute it."""
        labels = {choice.name: choice.labels for choice in choices}
        kept = []
        for choice in choices:
            if choice.name in self._pairs:
                kind, node = choice.name.partition(".")[0], self._pairs[choice.name]
                must = {source for source in range(node) if "none" not in labels[edge_name(kind, source, node)]}
                left = tuple(pair for pair in choice.labels if must <= set(sources(pair)))
                if not left:
                    edges = ", ".join(edge_name(kind, source, node) for source in sorted(must))
                    raise ValueError(
                        f"{self.name}: no pair of '{choice.name}' holds all edges without 'none' ({edges}): "
                        "leave 'none' among their labels."
                    )
                choice = Choice(choice.name, left, choice.group, choice.active_if)
            kept.append(choice)
        return tuple(kept)


def _best(choice: Choice, logits: Tensor) -> tuple[float, str]:
    """The largest probability of an operation but ``none``, and that operation."""
    shares = torch.softmax(logits.detach(), 0).tolist()
    found = [(share, label) for share, label in zip(shares, choice.labels, strict=True) if label != "none"]
    return max(found, key=lambda item: item[0]) if found else (-1.0, "none")


def _strongest(pairs: Sequence[str], strengths: Sequence[float]) -> str:
    """The pair of the largest sum: of all pairs it is that of the two strongest edges."""
    return max(pairs, key=lambda pair: sum(strengths[source] for source in sources(pair)))
