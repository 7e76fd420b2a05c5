"""What jsonargparse says of a command line, with the nearest right name of a wrong key or class."""

from __future__ import annotations

import inspect
import re
from argparse import ArgumentError
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from lit_metanas.cli.configuration_files import named_files, yaml_files
from lit_metanas.cli.errors import UsageError, chain_of, describe, near_miss, public_names
from lit_metanas.cli.verbs import TRAINER_VERBS, example
from lit_metanas.io.text import nearest, shorten

LONGEST_MESSAGE = 450  # characters of what the parser says

_LOOP = "Config file loop detected"
_CLASS_PATH = re.compile(r"class_path['\"]?:\s+['\"]?([\w.]+)")
_NOISE = re.compile(
    r"(?:- )?Does not validate against any of the Union subtypes Subtypes: \[[^]]*\] Errors: |"
    r"- Expected (?:a )?NoneType ?|Given value type: \w+ "
)
_NESTED = re.compile(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)")
_UNKNOWN = re.compile(r"[Oo]ption '([^']+)'|[Uu]nrecognized arguments: -*([\w.+-]+)")
_NAMED = re.compile(r"(?:class_path'?:? |class_path=|val=)'([\w.]+)'|value: ([\w.]+)|path string: ([\w.]+)")


def usage_error(error: Exception, args: Sequence[str], keys: Iterable[str] = (), verb: str = "") -> UsageError:
    """The error to raise instead of one that a parser raised; ``keys``, dotted, are those to suggest from."""
    if not isinstance(error, ArgumentError):  # jsonargparse's is argparse's
        what = " and ".join(f"'{path}'" for path, _ in yaml_files(args)) or "The command line"
        return UsageError(f"{what} cannot be understood ({describe(error)}).")
    message = _message(error)
    given = (path.read_text(encoding="utf-8") for path, _ in named_files(args))
    for name in (*_names_in(message), *(name for text in given for name in _CLASS_PATH.findall(text))):
        if (fault := _import_fault(name)) is not None:
            return UsageError(f"The module of '{name}' cannot be imported ({describe(fault)}).")
    near = _nearest_key(message, list(keys)) or _nearest_class(message)
    if not near and "are required" in message and not list(yaml_files(args)) and verb:
        near = f", as in `{example(verb)}`."
    elif not near and verb:
        near = f": see `lit-metanas {verb} --help`."
    return UsageError(f"{shorten(_readable(message).rstrip('. '), LONGEST_MESSAGE)}{near or '.'}")


def _message(error: Exception) -> str:
    # Where the content of a file is refused, jsonargparse tries the file's name as a value, and says only that this
    # would read the file again. The reason is the error before.
    message = str(error)
    for each in chain_of(error):
        if str(each).startswith(_LOOP) and each.__context__ is not None and str(each) in message:
            message = message.replace(str(each), f"In '{str(each).split()[4]}': {each.__context__}")
    return " ".join(message.split())


def _names_in(message: str) -> list[str]:
    """The paths and names of classes that a message names, the innermost first."""
    return [next(filter(None, found)) for found in reversed(_NAMED.findall(message))]


def _nearest_key(message: str, keys: Sequence[str]) -> str:
    """The right name of an unknown option, as the end of a sentence; empty if none is near."""
    if (unknown := _UNKNOWN.search(message)) is None:
        return ""
    word = unknown[1] or unknown[2]
    first = word.partition(".")[0]
    for name in _names_in(message):
        if (near := nearest(first, _arguments_of(name))) is not None:
            return f": did you mean '{near}'?"
    if (near := nearest(word, keys) or nearest(first, keys)) is None:
        return ""
    if word.startswith(f"{near}."):  # it lacks nothing but its dashes
        near = word
    return f": did you mean '--{near}'?"


def _nearest_class(message: str) -> str:
    """The right name of a class that there is not, as the end of a sentence; empty if none is near."""
    absent = (name for name in _names_in(message) if _find_class(name) is None)
    found = (near_miss(name.rpartition(".")[2], _known_classes(name)) for name in absent)
    return next((near for near in found if near != "."), "")


def _readable(text: str) -> str:
    """The library's words without modules of types, the verbs before keys, and what only unions say."""
    text = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", text)
    text = _NESTED.sub(r"\1=\2", _NOISE.sub("", text))
    return re.sub(rf"\b(?:{'|'.join(TRAINER_VERBS)})\.(?=\w)", "", text)


def _import_fault(name: str) -> Exception | None:
    """What goes wrong inside the module of a class when it is imported; None if there is no such module."""
    module = name.rpartition(".")[0]
    try:
        if module:
            import_module(module)
    except Exception as error:  # a user's module may raise anything
        # It is no fault that there is no such module, but one that it imports another one that is absent.
        if not isinstance(error, ModuleNotFoundError) or not f"{module}.".startswith(f"{error.name}."):
            return error
    return None


def _find_class(class_path: str) -> object | None:
    """What has this path, or this public name; None if nothing has, or its module cannot be imported."""
    module, _, name = class_path.rpartition(".")
    if not module:
        return public_names().get(name)
    try:
        return getattr(import_module(module), name, None)
    except (ImportError, ValueError):
        return None


def _arguments_of(class_path: str) -> Mapping[str, inspect.Parameter]:
    """A class's arguments; none where there is no such class, or none that is written in Python."""
    try:
        return inspect.signature(_find_class(class_path)).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}


def _known_classes(name: str) -> list[str]:
    """Names to suggest for a class: those of its module, or the public ones and Lightning's callbacks."""
    module = name.rpartition(".")[0] or "lightning.pytorch.callbacks"
    try:
        found = vars(import_module(module))
    except (ImportError, ValueError):
        return []
    root = module.partition(".")[0]  # a name that the module only imports is hardly meant
    own = (one for one, value in found.items() if getattr(value, "__module__", "").partition(".")[0] == root)
    return [one for one in (*own, *public_names()) if one[:1].isupper()]
