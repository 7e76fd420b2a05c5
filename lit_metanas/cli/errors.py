"""Errors of whoever uses the command line: classes that they name, and the place in a configuration that is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import shlex
import sys
import sysconfig
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import yaml

import lit_metanas
from lit_metanas.io.text import nearest, shorten
from lit_metanas.io.yaml_files import parse_yaml, places_of

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


def arguments_of(class_path: str) -> Mapping[str, inspect.Parameter]:
    """A class's arguments; none where there is no such class, or none that is written in Python."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
        return inspect.signature(found).parameters if callable(found) else {}
    except (ImportError, ValueError):
        return {}


def is_abstract(class_path: str) -> bool:
    """Whether there is a class of this path, and nothing can be built of it."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return False
    return inspect.isabstract(found) or name == "Callback"


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


def describe_module(class_path: str) -> str | None:
    """Why a path is none of a class, as a sentence ends: it is a module, or there is no such module; else None."""
    if not re.fullmatch(r"\w+(\.\w+)*", class_path):
        return None
    if own := classes_in(Path(class_path.replace(".", "/") + ".py")):
        return f": it is a module; give a class of it, such as {own[0]}."
    module = class_path.rpartition(".")[0]
    root = module.partition(".")[0]
    if not module or root in sys.modules or importlib.util.find_spec(root) is not None:
        return None
    files = islice((file.stem for file in sorted(Path().glob("*.py"))), _MOST_FILES)
    return f": there is no module '{module}' in the current folder or on Python's path{near_miss(module, list(files))}"


_DESCRIBING = ("class_path", "init_args", "dict_kwargs")
"""Keys of what describes an object."""


@dataclass
class RefusedPlace:
    """What the lines of a message above a reason say of it.

    Attributes:
        given: the value that the innermost lines are about; empty where they do not say.
        keys: the parser's known keys, dotted.
        path: depth and name of each key, from the root.
        class_path: of the innermost class.
        outer: the class that the outermost key takes, by its name.
        verb: whose command line it is; empty if that is not known.
        trees: what the configurations say.
        configured: whether a configuration was given.
        argument: a key below the outermost one and its value, where the command line gives just these.
    """

    given: str
    keys: Sequence[str]
    path: list[tuple[int, str]]
    class_path: str = ""
    outer: str = ""
    verb: str = ""
    trees: Sequence[object] = ()
    configured: bool = False
    argument: tuple[str, str] | None = None

    @property
    def where(self) -> str:
        """The path as the parser has it."""
        return ".".join(name for _, name in self.path)

    def found(self, key: str, holds: Callable[[object], bool], *, below: bool = False) -> tuple[str, object]:
        """The whole path of a key, with names in mappings, and its value.

        Args:
            key: below this place, or empty for the place itself.
            holds: whether a value is the one that is meant.
            below: whether only what has a name in a mapping here is meant.

        Returns:
            The parser's own path, and None, where not just one value is meant.
        """
        path = self.where.split(".") + ([key] if key else [])
        places = {
            ".".join(names): value
            for tree in self._trees()
            for names, value in places_of(tree, path)
            if holds(value) and not (below and names == path)
        }
        if ".".join(path) in places:
            return ".".join(path), places[".".join(path)]
        return next(iter(places.items())) if len(places) == 1 else (".".join(path), None)

    def of(self, value: str) -> str:
        """The whole path of what has this value, or names this class."""
        return self.found("", lambda each: value in (str(each), _class_of(each)))[0]

    def without_class(self, wanted: str, *, absent: bool = True) -> str | None:
        """A sentence where a mapping that is to describe an object has no class, or arguments beside it; else None.

        Args:
            wanted: the class that is taken there; one that is not abstract may have been meant.
            absent: whether to complain of a mapping with no word that resembles ``class_path``.
        """
        names, kind = self._names(), last_name(wanted)
        where, value = self.found(
            "", lambda each: isinstance(each, dict) and not _is_described(each), below=bool(names)
        )
        if not isinstance(value, dict):
            return None
        if "class_path" in value:
            beside = next(str(name) for name in value if name not in _DESCRIBING)
            near = near_miss(beside, ["init_args"])
            return f"'{where}.{beside}' stands beside class_path{': put it into init_args.' if near == '.' else near}"
        for name in value:
            if name != "init_args" and (near := near_miss(str(name), ["class_path"])) != ".":
                return f"'{where}.{name}' is not a key of a {kind}'s description{near}"
        beneath = [found for tree in self.trees for found in places_of(tree, self.where.split("."))]
        described = any(_class_of(each) is not None for names, each in beneath if ".".join(names) == where)
        lacks = "init_args" in value and not described and self.argument is None
        if not absent or not (lacks or is_abstract(wanted)):
            return None
        name = where.rpartition(".")[2]
        near = near_miss(name, names) if where != self.where and name not in names else "."
        return f"'{where}' has no class_path: give that of a {kind}, with its init_args{near}"

    def _trees(self) -> Sequence[object]:
        """What is to be searched for the place: the command line's own part, if it is about that."""
        if self.argument is None:
            return self.trees
        value: object = self.argument[1]
        with suppress(ValueError, RecursionError, yaml.YAMLError):
            value = parse_yaml(self.argument[1])
        for name in reversed(f"{self.path[0][1]}.{self.argument[0]}".split(".")):
            value = {name: value}
        return [value]

    def _names(self) -> list[str]:
        """The names of objects, where the configurations have a mapping of such here."""
        path = self.where.split(".")
        found = [value for tree in self.trees for _, value in places_of(tree, path, named=False)]
        mappings = [value for value in found if isinstance(value, dict) and not set(value) & set(_DESCRIBING)]
        return [str(name) for each in mappings if any(map(_class_of, each.values())) for name in each]


def _class_of(value: object) -> str | None:
    return str(value["class_path"]) if isinstance(value, dict) and "class_path" in value else None


def _is_described(value: Mapping[object, object]) -> bool:
    return "class_path" in value and all(name in _DESCRIBING for name in value)
