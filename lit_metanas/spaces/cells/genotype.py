"""Genotypes: the notation of DARTS's cells in the literature."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from lit_metanas.io.text import number_of
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.cells.cell_layout import KINDS, inputs_name

COMPUTED = [2, 3, 4, 5]
"""Nodes that a DARTS cell computes."""
FORM = "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def format_genotype(labels: Mapping[str, str]) -> str:
    """The notation of an architecture: for each node, two pairs of an operation and its input, by input."""
    parts = []
    for kind in KINDS:
        steps = []
        for node in COMPUTED:
            for source in labels[inputs_name(kind, node)].split("+"):
                steps.append(f"('{labels[edge_name(int(source), node, kind)]}', {source})")
        parts.append(f"{kind}=[{', '.join(steps)}], {kind}_concat=range(2, 6)")
    return f"Genotype({', '.join(parts)})"


def parse_genotype(text: str) -> dict[str, str]:
    """The inverse of ``format_genotype``: labels by choice, in whatever order a node's two inputs are given."""
    fields = _fields(text)
    labels: dict[str, str] = {}
    for kind in KINDS:
        if list(fields[f"{kind}_concat"]) != COMPUTED:
            concat = list(fields[f"{kind}_concat"])
            raise ValueError(f"The genotype's {kind}_concat is {concat}: a DARTS cell's output is nodes 2 to 5.")
        steps = fields[kind]
        if len(steps) != 2 * len(COMPUTED):
            pairs = number_of(len(steps), "pair")
            raise ValueError(f"The genotype's {kind} cell has {pairs} (operation, input): give {2 * len(COMPUTED)}.")
        for place, node in enumerate(COMPUTED):
            labels |= _node(kind, node, steps[2 * place : 2 * place + 2])
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
    edges = {edge_name(source, node, kind): operation for source, operation in found.items()}
    return {inputs_name(kind, node): "+".join(map(str, sorted(found))), **edges}


def _fields(text: str) -> dict[str, Sequence[object]]:
    """The four arguments of a genotype, as plain values: nothing is executed."""
    inner = re.sub(r"range\(\s*2\s*,\s*6\s*\)", str(COMPUTED), text.strip().removeprefix("Genotype(").removesuffix(")"))
    wanted = {f"{kind}{suffix}" for kind in KINDS for suffix in ("", "_concat")}
    try:
        fields = ast.literal_eval(re.sub(r"(\w+)\s*=", r"'\1': ", f"{{{inner}}}"))
        if set(fields) != wanted or not all(isinstance(value, list | tuple) for value in fields.values()):
            raise ValueError("not four lists")
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        raise ValueError(f"'{text[:80]}' is not a genotype: write {FORM}.") from error
    return fields
