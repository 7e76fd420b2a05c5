"""Runs the script of an export."""

import ast
import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import lit_metanas

SOURCES = {str(file): file.read_text() for file in Path(lit_metanas.__file__).parent.glob("*/export/standalone_*.py")}


def run(script: Path | str, *words: object, without: Sequence[str] = ()) -> None:
    """Run it where this package and some others cannot be imported; a process of its own would import torch anew.

    Tracebacks and coverage name the package's lines of which the script is a copy.
    """
    tree = ast.parse(text := Path(script).read_text(encoding="utf-8"))
    names = {"__name__": "__main__", "__file__": str(script), "__doc__": ast.get_docstring(tree)}
    gone = ("lit_metanas", "lightning", "optuna", *without)
    with pytest.MonkeyPatch.context() as patched:
        for name in {*gone, *(name for name in sys.modules if name.partition(".")[0] in gone)}:
            patched.setitem(sys.modules, name, None)
        patched.setattr(sys, "argv", [str(script), *map(str, words)])
        for part in tree.body:
            own = ast.get_source_segment(text, part) or text
            file = next((file for file, whole in SOURCES.items() if own in whole), str(script))
            before, _, _ = SOURCES.get(file, text).partition(own)
            ast.increment_lineno(part, 1 + before.count("\n") - part.lineno)
            exec(compile(ast.Module([part], []), file, "exec"), names)


def answers(script: Path | str, *words: object, without: Sequence[str] = ()) -> list[Any]:
    """What it says of files."""
    with redirect_stdout(io.StringIO()) as said:
        run(script, *words, without=without)
    return [json.loads(line) for line in said.getvalue().splitlines()]
