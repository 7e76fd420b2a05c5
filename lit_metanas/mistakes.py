"""What a user got wrong on the command line or in a configuration, in one sentence."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import yaml

ROOMS = ("episodes", "spaces", "records", "relaxations", "meta", "modules", "estimators", "searchers", "callbacks")

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"')
_CLASS = re.compile(r"Problem with given class_path '(?P<path>[^']+)'")
_LEAVES = (
    re.compile(r"Option '(?P<unknown>[^']+)' is not accepted"),
    re.compile(r"Subcommand '[^']+' does not accept option '(?P<unknown>[^']+)'"),
    re.compile(r"unrecognized arguments: (?P<unknown>\S+)"),
    re.compile(r"Key '(?P<unknown>[^']+)' is not expected"),
    re.compile(r"arguments? (?:is|are) required: (?P<required>.+)"),
    re.compile(r"Key '?\"?(?P<required>[^'\"]+)'?\"? is required"),
    re.compile(r"invalid choice: '(?P<choice>[^']*)' \(choose from (?P<choices>.*)\)"),
    re.compile(r"module '[^']+' has no attribute '(?P<absent>[^']+)'"),
    re.compile(r"(?P<absent_module>No module named) "),
    re.compile(r"Expected a dot import path string: (?P<short>\S+)"),
    re.compile(r"Import path does not correspond to a subclass of (?P<base>\w+)"),
    re.compile(r"Not of type \w+: (?P<value>\S+) does not conform to restriction (?P<restriction>.*)"),
    re.compile(r"Unable to load config ['\"](?P<scalar>[^'\"]*)['\"]"),
    re.compile(r"File does not exist: '(?P<file>[^']+)'"),
    re.compile(r"Expected (?:a|an|any of:?|one of:?) (?P<type>.+?)\. Got value: (?P<value>.*)"),
    re.compile(r"Expected a <class '(?P<type>[^']+)'>$"),
)


class UsageError(Exception):
    """The command line or a configuration is wrong; the message is one sentence for the user."""


def explain(message: str, keys: Iterable[str] = ()) -> str:
    """Condense a parser's message into a sentence with the key's path and the near miss.

    Args:
        message: what jsonargparse says: an indented tree of keys, class paths and reasons.
        keys: the parser's known keys, dotted, to suggest from.
    """
    path: list[tuple[int, str]] = []
    class_path = ""
    wrong_types: list[str] = []
    found: tuple[int, str] | None = None
    for line in message.splitlines():
        indent = len(line) - len(line.lstrip(" -"))
        if key := _KEY.search(line):
            path = [(depth, name) for depth, name in path if depth < indent] if path else []
            path.append((indent, key["key"]))
        if match := _CLASS.search(line):
            class_path = match["path"]
        for pattern in _LEAVES:
            if (leaf := pattern.search(line)) is None:
                continue
            parts = leaf.groupdict()
            if "type" in parts and "value" not in parts:
                wrong_types.append(parts["type"])
            elif found is None or indent > found[0]:
                found = (indent, _sentence(parts, ".".join(name for _, name in path), class_path, keys))
            break
    if found is not None:
        return _file_instead(message) or found[1]
    where = f"'{'.'.join(name for _, name in path)}'" if path else ""
    value = re.search(r"Given value: (.*)", message)
    if where and wrong_types and value:
        kinds = " or ".join(kind for kind in wrong_types if kind != "NoneType")
        return f"{where} cannot be '{value[1]}': it takes {kinds}."
    if "subclass of" in message and where:
        base = re.search(r"subclass of (\w+)", message)
        return f"{where} cannot be '{value[1] if value else ''}': it takes a {base[1] if base else 'class path'}."
    flat = re.sub(r"\s+", " ", _KEY.sub("", message).lstrip(": ")).strip(" .")
    return f"{where}: {flat}." if where else f"{flat}."


def broken_yaml(args: Iterable[str]) -> str | None:
    """A sentence on the first of the files among the arguments that is not YAML, or None."""
    for path in (Path(argument.rpartition("=")[2]) for argument in args):
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            continue
        try:
            yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            place = f" near line {mark.line + 1}" if mark else ""
            return f"'{path}' is not valid YAML{place}: mend its brackets, colons or indentation."
    return None


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f": did you mean '{near[0]}'?" if near else "."


def _sentence(leaf: dict[str, str], where: str, class_path: str, keys: Iterable[str]) -> str:
    if unknown := leaf.get("unknown"):
        if not class_path:
            return _unknown_key(unknown, list(keys))
        near = near_miss(unknown, _parameters(class_path))
        return f"'{_join(where, unknown)}' is not a key of {class_path.rpartition('.')[2]}{near}"
    if required := leaf.get("required"):
        names = ", ".join(f"'{_join(where, _without_verb(name.strip()))}'" for name in required.split(","))
        return f"{names} must be given, in a configuration file (-c) or on the command line."
    if "choice" in leaf:
        choices = re.findall(r"[\w-]+", leaf["choices"])
        return f"There is no '{leaf['choice']}'{near_miss(leaf['choice'], choices)} Choose from {', '.join(choices)}."
    if "file" in leaf:
        return f"There is no file '{leaf['file']}': check the path given to '{where or 'config'}'."
    if "absent" in leaf or "absent_module" in leaf or "short" in leaf:
        name = leaf.get("short") or class_path
        near = near_miss(name.rpartition(".")[2], _classes(name))
        return f"'{where}' names '{name}', which does not exist{near}"
    if base := leaf.get("base"):
        return f"'{where}' names a class that is no {base}."
    if restriction := leaf.get("restriction"):
        return f"'{where}' cannot be '{leaf['value']}': it must be {restriction.removeprefix('v')}."
    if "scalar" in leaf:
        return f"'{where.partition('.')[0]}' cannot be '{leaf['scalar']}': it takes a mapping of keys and values."
    kind = re.sub(r"<class '([^']+)'>", r"\1", leaf["type"])
    return f"'{where}' cannot be '{leaf['value']}': it takes {kind}."


def _unknown_key(argument: str, keys: list[str]) -> str:
    if not argument.startswith("--") and "." not in argument:
        return f"'{argument}' is not understood{near_miss(argument, keys)}"
    key = argument.lstrip("-").partition("=")[0]
    root, _, _ = key.partition(".")
    return f"There is no key '{key}'{near_miss(key if root in keys else root, keys)}"


def _file_instead(message: str) -> str | None:
    """Where a value looks like a path to a YAML file, its absence is the mistake."""
    match = re.search(r"Expected a path but (\S+\.ya?ml) either not accessible", message)
    key = _KEY.search(message)
    if match is None or key is None:
        return None
    return f"There is no file '{match[1]}', to which '{key['key']}' points: paths are relative to the file they are in."


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _without_verb(name: str) -> str:
    return re.sub(r"^(fit|validate|test|predict|search)\.", "", name)


def _import(path: str) -> object | None:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return None


def _parameters(class_path: str) -> list[str]:
    found = _import(class_path)
    return list(inspect.signature(found).parameters) if callable(found) else []


def _classes(name: str) -> list[str]:
    """Names to suggest for a class: those of its module, if there is one, and this package's public ones."""
    modules = [name.rpartition(".")[0], *(f"lit_metanas.{room}" for room in ROOMS), "lightning.pytorch.callbacks"]
    names: list[str] = []
    for module in modules:
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
