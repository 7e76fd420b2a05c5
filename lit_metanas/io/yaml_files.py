"""YAML from files: size and expanded aliases are bounded."""

from __future__ import annotations

import os
from typing import Any

import yaml

from lit_metanas.io.files import FileLimit, read_regular

# Bytes of a file.
LARGEST_YAML = 1 << 20

# Keys and values; each use of an alias counts.
MOST_PARTS = 20_000

# Digits of a whole number that a float can still hold.
MOST_DIGITS = 300


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a file of YAML; raises ValueError, ``yaml.YAMLError``, RecursionError or OSError."""
    return parse_yaml(read_regular(path, LARGEST_YAML).decode())


def parse_yaml(text: str) -> Any:
    """Parse one document of YAML; its aliases are counted before any value is built."""
    return _Loader(text).get_single_data()


_TOO_MANY = f"stands for more than {MOST_PARTS} values"


class _Loader(yaml.SafeLoader):
    """A safe loader that stops at the first value too many: 1 MB of them would take ten seconds."""

    _parts = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise FileLimit(_TOO_MANY)
        return super().compose_node(parent, index)

    def get_single_node(self) -> yaml.Node | None:
        # Nine lines of nine aliases each stand for 387 million values, which share their memory until they are copied.
        node = super().get_single_node()
        if node is not None and _count_nodes(node, {}) > MOST_PARTS:
            raise FileLimit(_TOO_MANY)
        return node


def _count_nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of nodes that a node stands for; a node that contains itself raises FileLimit."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise FileLimit("contains itself")
        return known[id(node)]
    known[id(node)] = 0
    number = 1
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" and len(node.value) > MOST_DIGITS:
        raise FileLimit(f"holds a number of more than {MOST_DIGITS} digits in line {node.start_mark.line + 1}")
    if isinstance(node, yaml.SequenceNode):
        number += sum(_count_nodes(value, known) for value in node.value)
    elif isinstance(node, yaml.MappingNode):
        number += sum(_count_nodes(key, known) + _count_nodes(value, known) for key, value in node.value)
    known[id(node)] = number
    return number
