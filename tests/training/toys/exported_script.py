"""Runs the script of an export."""

import io
import json
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest


def answers(script: Path | str, *words: object) -> list[Any]:
    """What it says of files, where this package cannot be imported; a process of its own would import torch anew."""
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(io.StringIO()) as said:
        for name in [name for name in sys.modules if name.partition(".")[0] == "lit_metanas"]:
            patched.setitem(sys.modules, name, None)
        patched.setattr(sys, "argv", [str(script), *map(str, words)])
        runpy.run_path(str(script), run_name="__main__")
    return [json.loads(line) for line in said.getvalue().splitlines()]
