"""Mistakes of a user: classes that are named wrongly, and the line of their own code that fails."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

import lit_metanas
from lit_metanas.io.text import nearest, shorten

LONGEST_REASON = 200
"""Characters of a reason that is passed on as it is."""


class UsageError(Exception):
    """The command line or a configuration is wrong; the message is one sentence for the user."""


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = nearest(word, candidates)
    if near is None:
        return "."
    return f": did you mean '{near}'?"


def import_fault(name: str) -> Exception | None:
    """What goes wrong inside the module of a class when it is imported; None if there is no such module."""
    module = name.rpartition(".")[0]
    if not module:
        return None
    try:
        importlib.import_module(module)
    except Exception as error:  # a user's module may raise anything
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            return None
        return error
    return None


def describe(error: BaseException) -> str:
    """An error's kind and words, and where in a user's file it was raised."""
    said = f"{type(error).__name__}: {shorten(' '.join(str(error).split()), LONGEST_REASON)}"
    if isinstance(error, SyntaxError) or (place := find_own_line(error)) is None:  # its words name the place
        return said
    return f"{said}, {place}"


def chain_of(error: BaseException) -> list[BaseException]:
    """An error, that because of which it was raised, and so on."""
    chain = [error]
    for each in chain:
        reason = each.__cause__
        if reason is None and not each.__suppress_context__:
            reason = each.__context__
        if reason is not None and reason not in chain:
            chain.append(reason)
    return chain


def find_own_line(error: BaseException, *, raised: bool = True) -> str | None:
    """The innermost line of the user's own code that an error came through; without ``raised``, no raising line."""
    # Of an error that was raised because of another one, the line of the other one.
    for each in reversed(chain_of(error)):
        frames = traceback.extract_tb(each.__traceback__)
        own = [frame for frame in frames if _is_own(frame.filename)]
        if own and (raised or own[-1] is not frames[-1] or not (own[-1].line or "").startswith("raise ")):
            return f"{os.path.relpath(own[-1].filename)}, line {own[-1].lineno}"
    return None


def _is_own(file: str) -> bool:
    """Whether a file is neither this package's, nor Python's, nor installed."""
    path = Path(file).resolve()
    # What is no file is compiled or typed in.
    if not os.path.isfile(path) or {"site-packages", "dist-packages"} & set(path.parts):
        return False
    folders = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), Path(lit_metanas.__file__).parent)
    return not any(path.is_relative_to(Path(folder).resolve()) for folder in folders)


def last_name(class_path: str) -> str:
    """The name of a class without its module."""
    return class_path.rpartition(".")[2]


def public_names() -> dict[str, object]:
    """What all rooms export, by its name; this imports every room."""
    rooms = [importlib.import_module(f"lit_metanas.{room}") for room in lit_metanas.ROOMS]
    return {name: getattr(room, name) for room in rooms for name in room.__all__}


def find_class(class_path: str) -> object | None:
    """What has this path, or this public name; None if nothing has, or its module cannot be imported."""
    module, _, name = class_path.rpartition(".")
    if not module:
        return public_names().get(name)
    try:
        return getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return None


def arguments_of(class_path: str) -> Mapping[str, inspect.Parameter]:
    """A class's arguments; none where there is no such class, or none that is written in Python."""
    try:
        return inspect.signature(find_class(class_path)).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}


def known_classes(name: str) -> list[str]:
    """Names to suggest for a class: those of its module, or the public ones and Lightning's callbacks."""
    module = name.rpartition(".")[0] or "lightning.pytorch.callbacks"
    try:
        found = vars(importlib.import_module(module))
    except (ImportError, ValueError):
        return []
    root = module.partition(".")[0]
    own = (one for one, value in found.items() if getattr(value, "__module__", "").partition(".")[0] == root)
    return [one for one in (*own, *public_names()) if one[:1].isupper()]


def find_own_modules() -> None:
    """Let the working folder be a place for modules: the last one, so that its files hide none that are installed."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
