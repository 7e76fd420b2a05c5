"""Classes that a configuration names: why one cannot be found, what it takes, and which others there are."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import traceback
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import lit_metanas
from lit_metanas.cli.errors import shortened

LONGEST_REASON = 200
"""Characters of a reason that is passed on as it is."""

_MOST_FILES, _MOST_CHARACTERS = 200, 1 << 20
"""How many files of the current folder are looked at, and how much of each."""


def import_fault(name: str) -> Exception | None:
    """What goes wrong inside the module of a class when it is imported; None if there is no such module."""
    module = name.rpartition(".")[0]
    if not module:
        return None
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        absent = error.name is not None and f"{module}.".startswith(f"{error.name}.")
        return None if absent else error
    except Exception as error:  # a user's module may raise anything
        return error
    return None


def reason(error: Exception) -> str:
    """An error's kind and words, and where in a file that is not installed it was raised."""
    text = shortened(" ".join(str(error).split()), LONGEST_REASON)
    frames = traceback.extract_tb(error.__traceback__)
    own = not isinstance(error, SyntaxError) and frames and "site-packages" not in frames[-1].filename
    place = f", {os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {text}{place}"


def last(class_path: str) -> str:
    """The name of a class without its module."""
    return class_path.rpartition(".")[2]


def arguments(class_path: str) -> Mapping[str, inspect.Parameter]:
    """A class's arguments; none where there is no such class, or none that is written in Python."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
        return inspect.signature(found).parameters if callable(found) else {}
    except (ImportError, ValueError):
        return {}


def candidates(name: str) -> list[str]:
    """Names to suggest for a class: those of its module, if there is one, and this package's public ones."""
    names = [public for public in lit_metanas.__all__ if public[:1].isupper()]
    for module in (name.rpartition(".")[0], "lightning.pytorch.callbacks"):
        try:
            content = vars(importlib.import_module(module))
        except (ImportError, ValueError):
            continue
        package = module.partition(".")[0]
        names += [
            public
            for public, value in content.items()
            if isinstance(value, type) and value.__module__.partition(".")[0] == package and public[:1].isupper()
        ]
    return names


def classes_in(file: Path) -> list[str]:
    """The paths of the classes that a Python file defines, without executing it; none where it is no text."""
    try:
        with file.open(encoding="utf-8") as text:
            names = re.findall(r"^class (\w+)", text.read(_MOST_CHARACTERS), re.MULTILINE)
    except (OSError, ValueError):
        return []
    below = not file.is_absolute() and ".." not in file.parts
    module = ".".join(file.with_suffix("").parts) if below else file.stem
    return [f"{module}.{name}" for name in names]


def in_current_folder(name: str) -> str | None:
    """The path of a class of this name in a Python file of the current folder; None if no file has one."""
    files = islice((file for file in sorted(Path().glob("*.py")) if file.is_file()), _MOST_FILES)
    return next((path for file in files for path in classes_in(file) if last(path) == name), None)
