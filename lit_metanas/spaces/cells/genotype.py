"""Genotypes: the notation of DARTS's cells in the literature."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from lit_metanas.io.text import number_of
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.cells.cell_layout import INPUTS, KINDS, inputs_name, pairs

COMPUTED_NODES = 4
"""Nodes that a DARTS cell computes."""
LONGEST = 100
"""Numbers of a range that are looked at: more would fill the memory."""
FORM = "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def format_genotype(labels: Mapping[str, str]) -> str:
    """The notation of an architecture: for each node, two pairs of an operation and its input, by input."""
    parts = []
    for kind in KINDS:
        steps = []
        for node in range(INPUTS, INPUTS + COMPUTED_NODES):
            for source in labels[inputs_name(kind, node)].split("+"):
                steps.append(f"('{labels[edge_name(int(source), node, kind)]}', {source})")
        parts.append(f"{kind}=[{', '.join(steps)}], {kind}_concat=range({INPUTS}, {INPUTS + COMPUTED_NODES})")
    return f"Genotype({', '.join(parts)})"


def parse_genotype(text: str) -> dict[str, str]:
    """The inverse of ``format_genotype``: labels by choice, in whatever order a node's two inputs are given."""
    fields = _fields(text)
    labels: dict[str, str] = {}
    for kind in KINDS:
        concat = fields[f"{kind}_concat"]
        if list(concat) != list(range(INPUTS, INPUTS + COMPUTED_NODES)):
            raise ValueError(f"The genotype's {kind}_concat is {list(concat)}: a DARTS cell's output is nodes 2 to 5.")
        steps = fields[kind]
        if len(steps) != 2 * COMPUTED_NODES:
            pairs = number_of(len(steps), "pair")
            raise ValueError(f"The genotype's {kind} cell has {pairs} (operation, input): give {2 * COMPUTED_NODES}.")
        for place in range(COMPUTED_NODES):
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
                    f"'{step}' at node {node} of the genotype's {kind} cell is not a pair of an operation and an input "
                    f"from 0 to {node - 1}."
                )
    if len(found) < 2:
        raise ValueError(f"Node {node} of the genotype's {kind} cell has input {min(found)} twice: give two inputs.")
    pair = "+".join(str(source) for source in sorted(found))
    assert pair in pairs(node)
    return {
        inputs_name(kind, node): pair,
        **{edge_name(source, node, kind): operation for source, operation in found.items()},
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
        raise ValueError(f"'{text[:80]}' is not a genotype: write {FORM}.") from error
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
