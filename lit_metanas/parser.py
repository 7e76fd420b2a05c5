"""The parser of the command line, which takes ``null`` at any depth."""

from __future__ import annotations

import ast
import json
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser


class Parser(LightningArgumentParser):
    """Hands null down to the arguments of arguments.

    Jsonargparse gives a value within a class to a parser of that class, as one word ``--key=value`` in which null has
    become Python's word for it. A class within a class would take that for a text.
    """

    def parse_args(
        self, args: Any = None, namespace: Any = None, env: bool | None = None, defaults: bool = True, **options: Any
    ) -> Any:
        """Parse a command line, or the one word of a class's argument."""
        if isinstance(args, list) and len(args) == 1 and isinstance(args[0], str):
            key, equals, value = args[0].partition("=")
            args = [f"{key}{equals}{_with_null(value)}"]
        return super().parse_args(args, namespace, env, defaults, **options)


def _with_null(text: str) -> str:
    """What Python prints of null, or of lists and mappings with null in them, as YAML."""
    if "None" not in text:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return json.dumps(value) if value is None or isinstance(value, dict | list) else text
