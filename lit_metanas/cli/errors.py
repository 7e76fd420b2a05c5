"""Errors of whoever uses the command line, and classes that they name: why one cannot be found, what it takes."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import lit_metanas
from lit_metanas.io.text import nearest

LONGEST_REASON = 200
"""Characters of a reason that is passed on as it is."""

_MOST_FILES, _MOST_CHARACTERS = 200, 1 << 20
"""How many files of the current folder are looked at, and how much of each."""


class UsageError(Exception):
    """The command line or a configuration is wrong; the message is one sentence for the user."""


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = nearest(word, candidates)
    return "." if near is None else f": did you mean '{near}'?"


def shorten(text: str, longest: int = 80) -> str:
    """A text that is short enough for a sentence."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def is_from_checkpoint(error: BaseException) -> bool:
    """Whether an error came up while Lightning restored a training from a checkpoint, which its type does not say."""
    if "lightning" not in sys.modules:  # to import it would make each error take seconds
        return False
    from lightning.pytorch.trainer.connectors import checkpoint_connector

    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == checkpoint_connector.__file__ and "restore" in code.co_name:
            return True
        trace = trace.tb_next
    return False


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


def describe(error: Exception) -> str:
    """An error's kind and words, and where in a file that is not installed it was raised."""
    text = shorten(" ".join(str(error).split()), LONGEST_REASON)
    frames = traceback.extract_tb(error.__traceback__)
    own = not isinstance(error, SyntaxError) and frames and "site-packages" not in frames[-1].filename
    place = f", {os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {text}{place}"


def last_name(class_path: str) -> str:
    """The name of a class without its module."""
    return class_path.rpartition(".")[2]


def arguments_of(class_path: str) -> Mapping[str, inspect.Parameter]:
    """A class's arguments; none where there is no such class, or none that is written in Python."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
        return inspect.signature(found).parameters if callable(found) else {}
    except (ImportError, ValueError):
        return {}


def known_classes(name: str) -> list[str]:
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
    return next((path for file in files for path in classes_in(file) if last_name(path) == name), None)
