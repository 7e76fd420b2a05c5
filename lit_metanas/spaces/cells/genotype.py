"""Genotypes: the notation of DARTS's cells in the literature."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.cells.cell_layout import KINDS, inputs_name

COMPUTED = [2, 3, 4, 5]
"""Nodes that a DARTS cell computes."""
FORM = "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"

_STEPS = r"\[((?:\('\w+',\d\),?){8})\]"
_OUTPUTS = r"(?:range\(2,6\)|[\[(]2,3,4,5[\])])"
_GENOTYPE = ",".join(f"{kind}={_STEPS},{kind}_concat={_OUTPUTS}" for kind in KINDS)


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
    found = re.fullmatch(rf"Genotype\({_GENOTYPE}\)", re.sub(r"\s", "", text).replace('"', "'"))
    if found is None:
        raise ValueError(f"'{text[:80]}' is not a genotype: write {FORM}, with eight pairs for each cell.")
    labels: dict[str, str] = {}
    for kind, steps in zip(KINDS, found.groups(), strict=True):
        pairs = re.findall(r"'(\w+)',(\d)", steps)
        for place, node in enumerate(COMPUTED):
            edges = {int(source): operation for operation, source in pairs[2 * place : 2 * place + 2]}
            if len(edges) < 2 or max(edges) >= node:
                raise ValueError(f"Node {node} of the genotype's {kind} cell: give two inputs from 0 to {node - 1}.")
            labels[inputs_name(kind, node)] = "+".join(map(str, sorted(edges)))
            labels |= {edge_name(source, node, kind): operation for source, operation in edges.items()}
    return labels
