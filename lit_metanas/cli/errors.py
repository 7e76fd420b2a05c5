"""Errors of whoever uses the command line: classes that they name, and the place in a configuration that is wrong."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shlex
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path

import lit_metanas
from lit_metanas.io.text import nearest, shorten

LONGEST_REASON = 200
"""Characters of a reason that is passed on as it is."""

_MOST_FILES, _MOST_CHARACTERS = 200, 1 << 20
"""How many files of the current folder are looked at, and how much of each."""

_NO_MEMORY = (
    "can't allocate memory", "not enough memory", "could not create a memory", "could not create a primitive",
    "out of memory", "ALLOC_FAILED",
)  # fmt: skip
"""How torch, oneDNN and CUDA's libraries say that memory has run out."""


_ARGUMENT = re.compile(r"(?P<before>\b(?:by|leave) )'(?P<named>\w+)'|\b(?P<key>\w+)='(?P<value>[^']*)'")
"""An argument that a sentence advises: by its name, or with a value."""


class UsageError(Exception):
    """The command line or a configuration is wrong; the message is one sentence for the user."""


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = nearest(word, candidates)
    return "." if near is None else f": did you mean '{near}'?"


def with_shell_keys(sentence: str, keys: Collection[str]) -> str:
    """A sentence with options of the command line where it names arguments as Python has them.

    Args:
        sentence: ``say kind='images'``, or ``say by 'kind'`` what it is.
        keys: of the verb.
    """

    def option(match: re.Match[str]) -> str:
        before, key, value = match["before"] or "", match["key"] or match["named"], match["value"]
        if key not in keys:
            return match[0]
        return f"{before}--{key.replace('_', '-')}{'' if value is None else f' {shlex.quote(value)}'}"

    return _ARGUMENT.sub(option, sentence)


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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, by a type that torch has for accelerators alone, or by what an error says."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


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


def describe(error: BaseException) -> str:
    """An error's kind and words, and where in a user's file it was raised."""
    text = shorten(" ".join(str(error).split()), LONGEST_REASON)
    place = None if isinstance(error, SyntaxError) else find_own_line(error)  # whose words have it
    return f"{type(error).__name__}: {text}{f', {place}' if place else ''}"


def chain_of(error: BaseException) -> list[BaseException]:
    """An error, that because of which it was raised, and so on."""
    chain = list[BaseException]()
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def find_own_line(error: BaseException, *, raised: bool = True) -> str | None:
    """File and line of the innermost code of the user's own that an error came through; None if it did through none.

    Of an error that was raised because of another one, that of the other one.

    Args:
        error: with its traceback.
        raised: whether a line that raises the error by itself counts, too.
    """
    for each in reversed(chain_of(error)):
        frames = traceback.extract_tb(each.__traceback__)
        own = [frame for frame in frames if _is_own(frame.filename)]
        if own and (raised or own[-1] is not frames[-1] or not (own[-1].line or "").startswith("raise ")):
            return f"{os.path.relpath(own[-1].filename)}, line {own[-1].lineno}"
    return None


def _is_own(file: str) -> bool:
    """Whether a file is neither this package's, nor Python's, nor installed."""
    path = Path(file).resolve()
    installed = [sysconfig.get_path(each) for each in ("stdlib", "platstdlib")] + [
        str(Path(lit_metanas.__file__).parent)
    ]
    return not (
        not os.path.isfile(path)  # what is compiled, typed in, or must not be looked at
        or {"site-packages", "dist-packages"} & set(path.parts)
        or any(path.is_relative_to(Path(folder).resolve()) for folder in installed)
    )


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
    found = find_class(class_path)
    try:
        return inspect.signature(found).parameters if callable(found) else {}
    except ValueError:
        return {}


def known_classes(name: str) -> list[str]:
    """Names to suggest for a class: those of its module, or this package's public ones and callbacks."""
    module = name.rpartition(".")[0]
    names = list[str]()
    if module in ("", lit_metanas.__name__):
        names = [public for public in public_names() if public[:1].isupper()]
        module = "lightning.pytorch.callbacks"
    try:
        content = vars(importlib.import_module(module))
    except (ImportError, ValueError):
        return names
    package = module.partition(".")[0]
    return names + [
        public
        for public, value in content.items()
        if isinstance(value, type) and value.__module__.partition(".")[0] == package and public[:1].isupper()
    ]


def classes_in(file: Path) -> list[str]:
    """The paths of the classes that a Python file defines, without executing it; none where it is not text."""
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
