"""Errors of the command line: one sentence for each wrong key or value."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml

from lit_metanas.cli.verbs import TRAINER_VERBS

LONGEST_REASON = 200
"""Characters of a reason that is told as it is."""

ROOMS = (
    "tasks",
    "spaces",
    "records",
    "relaxations",
    "meta",
    "training",
    "surrogates",
    "estimators",
    "searchers",
    "comparisons",
    "callbacks",
)

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"')
_CLASS = re.compile(r"Problem with given class_path '(?P<path>[^']+)'")
_CALLABLE = re.compile(r"a callable class: .*\. Got value: Namespace\(class_path='(?P<path>[^']+)'")
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
    re.compile(r"Expected an instantiatable class, but (?P<abstract>[\w.]+) is abstract"),
    re.compile(r"(?P<nameless>Empty nested key)"),
    re.compile(r"(?P<flat>'\w+' object has no attribute 'keys')"),
    re.compile(r"Not a valid subclass of (?P<parent>\w+)(?:\. Got value: (?P<value>.*))?"),
    re.compile(r"Expected (?:a|an|any of:?|one of:?) (?P<type>.+?)\. Got value: (?P<value>.*?)(?:\. Got value: .*)?$"),
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
    given = re.search(r"Given value: (.*)", message)
    found: tuple[int, str] | None = None
    for line in message.splitlines():
        indent = len(line) - len(line.lstrip(" -"))
        if key := _KEY.search(line):
            path = [(depth, name) for depth, name in path if depth < indent] if path else []
            path.append((indent, key["key"]))
        if match := _CLASS.search(line) or _CALLABLE.search(line):
            class_path = match["path"]
        for pattern in _LEAVES:
            if (leaf := pattern.search(line)) is None:
                continue
            parts = {"given": given[1] if given else "", **leaf.groupdict()}
            if "type" in parts and "value" not in parts:
                wrong_types.append(parts["type"])
            elif found is None or indent > found[0]:
                found = (indent, _sentence(parts, ".".join(name for _, name in path), class_path, keys))
            break
    if found is not None:
        return _file_instead(message) or found[1]
    where = f"'{'.'.join(name for _, name in path)}'" if path else ""
    value = given[1] if given else ""
    kinds = " or ".join(_kind(kind, value) for kind in wrong_types if kind != "NoneType")
    if where and given:
        return f"{where} cannot be '{_shown(given[1])}': it takes {kinds or 'a class path and its arguments'}."
    flat = _shown(re.sub(r"\s+", " ", _KEY.sub("", message).lstrip(": ")).strip(" ."), LONGEST_REASON)
    return f"{where}: {flat}." if where else f"{flat}."


def refused(error: Exception, args: Sequence[str], keys: Iterable[str] = ()) -> UsageError:
    """What to raise instead of whatever reading a command line has raised.

    Args:
        error: what it has raised; an ``ArgumentError`` as a rule.
        args: the command line.
        keys: the parser's known keys, dotted, to suggest from.
    """
    if (broken := broken_yaml(args)) is not None:
        return UsageError(broken)
    if type(error).__name__ == "ArgumentError":  # importing it would slow down help
        return UsageError(_shown(explain(str(error), keys), 2 * LONGEST_REASON))
    files = " and ".join(f"'{path}'" for path, _ in _files(args)) or "The command line"
    text = _shown(" ".join(str(error).split()), LONGEST_REASON)
    return UsageError(f"{files} cannot be understood ({type(error).__name__}: {text}).")


def broken_yaml(args: Sequence[str]) -> str | None:
    """A sentence on the first of the files among the arguments, or named in those, that is no YAML; else None."""
    seen: set[Path] = set()
    for path, whole in _files(args):
        if (sentence := _broken(path, whole, seen)) is not None:
            return sentence
    return None


def _files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments, and whether each is a whole configuration, not a value."""
    for before, argument in zip(["", *args], args, strict=False):
        option, _, name = argument.rpartition("=")
        path = Path(name)
        if path.suffix in (".yaml", ".yml") and path.is_file():
            yield path, (option or before) in ("-c", "--config")


def _broken(path: Path, whole: bool, seen: set[Path]) -> str | None:
    """What is wrong with one file, or with one that it names."""
    if path in seen:
        return None
    seen.add(path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.safe_load(text)
        json.dumps(tree, default=str, skipkeys=True)  # raises where something holds itself
    except UnicodeDecodeError:
        return f"'{path}' is no text in UTF-8: give a YAML file."
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" near line {mark.line + 1}" if mark else ""
        return f"'{path}' is not valid YAML{place}: mend its brackets, colons or indentation."
    except RecursionError:
        return f"'{path}' is nested too deeply: mend its brackets or indentation."
    except ValueError as error:
        return f"'{path}' holds a value that cannot be read: {_shown(str(error))}."
    if whole and not isinstance(tree, dict):
        return f"'{path}' holds {'nothing' if tree is None else 'no keys'}: it takes a mapping of keys and values."
    if (within := _nameless(tree)) is not None:
        return f"'{path}' has a key without a name{f' in {within!r}' if within else ''}: give it one, or remove it."
    inner = (path.parent / name for name in re.findall(r"[\w./-]+\.ya?ml", text))
    return next((found for file in inner if file.is_file() and (found := _broken(file, False, seen))), None)


def _nameless(tree: object, place: str = "") -> str | None:
    """Where in a tree a mapping has an empty key; None if none has."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in pairs:
        if name is None or name == "":
            return place
        if (found := _nameless(value, _join(place, str(name)))) is not None:
            return found
    return None


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f": did you mean '{near[0]}'?" if near else "."


def _sentence(leaf: dict[str, str], where: str, class_path: str, keys: Iterable[str]) -> str:
    if unknown := leaf.get("unknown"):
        if not class_path:
            return _unknown_key(unknown, list(keys))
        key, known = _key_of(unknown), _parameters(class_path)
        root = key.partition(".")[0]
        near = near_miss(key if root in known else root, known)
        return f"'{_join(where, key)}' is not a key of {class_path.rpartition('.')[2]}{near}"
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
        return f"'{where}' names '{_shown(name)}', which does not exist{near}"
    if base := leaf.get("base"):
        return f"'{where}' names a class that is no {base}."
    if restriction := leaf.get("restriction"):
        return f"'{where}' cannot be '{leaf['value']}': it must be {restriction.removeprefix('v')}."
    if "scalar" in leaf:
        root = where.partition(".")[0]
        return f"'{root}' cannot be '{_shown(leaf['scalar'])}': it takes a mapping of keys and values."
    if "nameless" in leaf:
        return f"'{where}' holds a key without a name: give it one, or remove it."
    if "flat" in leaf:
        return f"'{_join(where, 'init_args')}' is no mapping: it takes the arguments of {_last(class_path)} by name."
    if abstract := leaf.get("abstract"):
        return (
            f"'{where}' cannot be '{_shown(leaf['given'])}': it takes the class_path of a {_last(abstract)}, with its "
            "init_args."
        )
    if parent := leaf.get("parent"):
        value = _shown(leaf["value"] or leaf["given"])
        return f"'{where}' cannot be '{value}': it takes a mapping that describes a {parent}."
    kind = re.sub(r"<class '([^']+)'>", r"\1", leaf["type"])
    return f"'{where}' cannot be '{_shown(leaf['value'])}': it takes {_kind(kind, leaf['value'])}."


def _kind(kind: str, value: str) -> str:
    """A type for a sentence; of a list that lacks its brackets how it is written."""
    bare = value and not set(value) & set("[]{}'\"")
    return f"a list, such as [{_shown(value)}]" if kind == "list" and bare else kind


def _last(class_path: str) -> str:
    return class_path.rpartition(".")[2]


def _shown(text: str, longest: int = 80) -> str:
    """A text that is short enough for a sentence."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _unknown_key(argument: str, keys: list[str]) -> str:
    if not argument.startswith("--") and "." not in argument:
        return f"'{argument}' is not understood{near_miss(argument, keys)}"
    key = _key_of(argument)
    root, _, _ = key.partition(".")
    return f"There is no key '{key}'{near_miss(key if root in keys else root, keys)}"


def _key_of(argument: str) -> str:
    return argument.lstrip("-").partition("=")[0]


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
    verb, _, rest = name.partition(".")
    return rest if verb in TRAINER_VERBS else name


def _import(path: str) -> object | None:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return None


def _parameters(class_path: str) -> list[str]:
    found = _import(class_path)
    try:
        return list(inspect.signature(found).parameters) if callable(found) else []
    except ValueError:  # a class that is not written in Python
        return []


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
