"""Runs the script of an export."""

import ast
import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import lit_metanas

SOURCES = sorted(Path(lit_metanas.__file__).parent.glob("training/export/standalone_*.py"))


def parts(text: str, script: str) -> Iterator[CodeType]:
    """Its statements, each with the place of the package's that it is a copy of: tracebacks and coverage name that."""
    sources = {str(source): source.read_text(encoding="utf-8") for source in SOURCES}
    for node in ast.parse(text).body:
        copied = ast.get_source_segment(text, node) or text
        source = next((source for source, whole in sources.items() if copied in whole), script)
        before, _, _ = sources.get(source, text).partition(copied)
        ast.increment_lineno(node, 1 + before.count("\n") - node.lineno)
        yield compile(ast.Module([node], []), source, "exec")


def run(script: Path | str, *words: object) -> None:
    """Run it on words, where this package cannot be imported; a process of its own would import torch anew."""
    text = Path(script).read_text(encoding="utf-8")
    names = {"__name__": "__main__", "__file__": str(script), "__doc__": ast.get_docstring(ast.parse(text))}
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in sys.modules if name.partition(".")[0] == "lit_metanas"]:
            patched.setitem(sys.modules, name, None)
        patched.setattr(sys, "argv", [str(script), *map(str, words)])
        for part in parts(text, str(script)):
            exec(part, names)


def answers(script: Path | str, *words: object) -> list[Any]:
    """What it says of files."""
    with redirect_stdout(io.StringIO()) as said:
        run(script, *words)
    return [json.loads(line) for line in said.getvalue().splitlines()]
