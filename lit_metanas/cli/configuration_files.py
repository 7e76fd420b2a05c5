"""Configuration files of a command line: those that cannot be read, and those that lie over others.

A file lies over another one by ``base: FILE``, a path relative to the file that it stands in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os.path import exists, isfile, normpath, samefile
from pathlib import Path

import yaml

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.shipped_configurations import configuration_path, shown_path, with_paths
from lit_metanas.cli.verbs import KEYS, LISTS, MODELS, TRAINER_VERBS
from lit_metanas.io.text import shorten
from lit_metanas.io.yaml_files import YAMLLimit, parse_yaml, read_yaml

TRAINER_KEYS = ("model", "data", "trainer", "ckpt_path", "seed_everything")
"""Keys of the configurations of the Trainer's verbs."""

BASE = "base"

_DESCRIBING = {"class_path", "init_args", "dict_kwargs"}
"""Keys of what describes an object."""

_CLASSES = ("--model", "--data")
"""Options that name a class, which a configuration may give arguments to without naming it."""


def with_bases(args: Sequence[str], verb: str = "") -> list[str]:
    """Put the configurations of a command line before its keys, and each behind the one that it lies over.

    A base that an earlier configuration has brought, or that the user has given before, is not applied again: it would
    undo what came after it.

    Args:
        args: the command line.
        verb: whose command line it is.

    Returns:
        The verb, if one stands first, each ``-c FILE`` as ``--config=BASE --config=FILE``, and all other words. Those
        that name a class stand before the configurations, too.

    Raises:
        UsageError: a file is too large or missing, a base is a base of itself, or stands on the command line.
    """
    args = list(with_paths(args, verb))
    refuse_large_yaml(args)
    layered: list[str] = []
    others: list[str] = []
    applied: set[Path] = set()
    words = iter(args)
    for word in words:
        if word.partition("=")[0] == f"--{BASE}":
            raise UsageError(f"'{BASE}' is a key of configuration files: give the file that it is to name by -c.")
        glued = re.fullmatch(r"(?:--config=|-c=?)(.+)", word)
        path = glued[1] if glued else next(words, None) if word in ("-c", "--config") else None
        if path is None:  # an argument of another kind, or one that lacks its value, as the parser will say
            others.append(word)
            continue
        for layer in _layers(path):
            if layer == path or Path(layer).resolve() not in applied:
                layered.append(f"--config={layer}")
            applied.add(Path(layer).resolve())
    first = 0 if others and others[0].startswith("-") else 1
    return [*others[:first], *(_class_words(others) if layered else ()), *layered, *others[first:]]


def with_lists(args: Sequence[str], verb: str = "") -> list[str]:
    """``--data.examples A B``, as a shell makes it of ``*.png``, as the one list that the parser takes.

    As JSON, since a name may be YAML for something else (``a: b.png``).

    Args:
        args: the command line.
        verb: whose keys they are.
    """
    joined, rest = list[str](), list(args)
    while rest:
        word = rest.pop(0)
        joined.append(word)
        key, equals, value = word.partition("=")
        if key not in LISTS.get(verb, ()):
            continue
        paths = [value] if equals else []
        while rest and (not rest[0].startswith("-") or exists(rest[0])):
            paths.append(rest.pop(0))
        if paths and not (len(paths) == 1 and paths[0].startswith("[")):  # else a list as it is
            joined[-1] = f"{key}={json.dumps(paths)}"
        elif paths:
            joined[-1] = f"{key}={paths[0]}"
    return joined


def _class_words(words: Sequence[str]) -> Iterator[str]:
    """The words that name a class."""
    for place, word in enumerate(words):
        if word in _CLASSES:
            yield from words[place : place + 2]
        elif word.partition("=")[0] in _CLASSES:
            yield word


def _layers(path: str) -> list[str]:
    """A configuration and, before it, those that it lies over."""
    layers = [path]
    while (base := _base(layers[0])) is not None:
        following = str(Path(layers[0]).parent / base)
        if not isfile(following) and not Path(base).suffix:
            following = configuration_path(base)
        if not isfile(following):
            what = f"There is no file '{base[:80]}', the '{BASE}' of '{normpath(layers[0])}'"
            raise UsageError(f"{what}: paths are relative to the file they are in.")
        if any(samefile(following, layer) for layer in layers):
            raise UsageError(f"'{normpath(following)}' is based on itself: remove '{BASE}' from one of its bases.")
        layers.insert(0, following)
    return layers


def _base(path: str) -> str | None:
    """What a file says of its base; None where it says nothing, or nothing that the parser does not refuse."""
    try:
        tree = read_yaml(path)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    base = tree.get(BASE) if isinstance(tree, dict) else None
    return base if isinstance(base, str) else None


def yaml_files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments, and whether each is a whole configuration, not a value."""
    for before, argument in zip(["", *args], args, strict=False):
        option, _, name = argument.rpartition("=")
        path = Path(name)
        if path.suffix in (".yaml", ".yml") and path.is_file():
            yield path, (option or before) in ("-c", "--config")


def known_trees(args: Sequence[str]) -> list[object]:
    """What the configurations among arguments say, as far as they can be read, and then whole keys among them."""
    trees: list[object] = []
    for path, whole in yaml_files(args):
        with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            trees += [read_yaml(path)] if whole else []
    for word in args:
        if given := re.fullmatch(r"--(\w+)=(.*)", word, re.DOTALL):
            trees = [{k: v for k, v in tree.items() if k != given[1]} for tree in trees if isinstance(tree, dict)]
            with suppress(ValueError, RecursionError, yaml.YAMLError):
                trees.append({given[1]: parse_yaml(given[2])})
    return trees


def named_files(args: Sequence[str]) -> Iterator[Path]:
    """The YAML files among arguments and those that are named in them, each once."""
    waiting, seen = [path for path, _ in yaml_files(args)], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            yield path
            with suppress(OSError, ValueError):  # no text
                waiting += _files_in(path)


def refuse_large_yaml(args: Sequence[str]) -> None:
    """Look at the files among the arguments, and at those named in them, before a parser builds anything of them.

    Raises:
        UsageError: one is beyond the limits of ``read_yaml``.
    """
    for path in named_files(args):
        try:
            read_yaml(path)
        except YAMLLimit as error:
            raise UsageError(f"'{path}' {error}: give a smaller configuration.") from None
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            pass  # what the parser says of it


def find_yaml_fault(args: Sequence[str]) -> str | None:
    """A sentence on the first of the files among the arguments, or named in those, that is no YAML; else None."""
    seen: set[Path] = set()
    for path, whole in yaml_files(args):
        if (sentence := _find_fault(path, whole, seen)) is not None:
            return sentence
    return None


def find_misplaced_yaml(args: Sequence[str], verb: str) -> str | None:
    """A sentence on the last of the configurations among the arguments that is for another verb; None if none is."""
    misplaced: Path | None = None
    others: Sequence[str] = ()
    for path, whole in yaml_files(args):
        tree = read_yaml(path) if whole else None
        if not isinstance(tree, dict) or not tree:
            continue
        if "class_path" in tree:
            name = shorten(str(tree["class_path"]).rpartition(".")[2])
            return f"'{shown_path(str(path))}' describes only a {name}: give it to the key that takes one, not to -c."
        verbs = _verbs_of(tree)
        if misplaced is not None and path.parent / str(tree.get("base")) == misplaced:
            misplaced = path  # the user has given the one that lies over it
        elif verbs and verb and verb not in verbs:
            misplaced, others = path, verbs
    if misplaced is None:
        return None
    return f"'{shown_path(str(misplaced))}' is for `lit-metanas {others[0]}`, not for `{verb}`."


def _verbs_of(tree: Mapping[str, object]) -> Sequence[str]:
    """The verbs that a configuration may be for, by its keys; none where these do not say."""
    if not tree.keys().isdisjoint(TRAINER_KEYS):
        model = tree.get("model")
        name = str(model.get("class_path") if isinstance(model, dict) else model).rpartition(".")[2]
        return verbs_of_model(name) or list(TRAINER_VERBS)
    return [verb for verb, keys in KEYS.items() if len(tree.keys() & keys.keys()) > 1 or tree.keys() <= keys.keys()]


def verbs_of_model(name: str) -> list[str]:
    """The verbs that take a model of this package; none where it is not known."""
    verbs = [verb for verb, models in MODELS.items() if name in models]
    return ["fit", "validate", "test"] if "fit" in verbs else verbs


def _find_fault(path: Path, whole: bool, seen: set[Path]) -> str | None:
    """What is wrong with one file, or with one that it names."""
    if path in seen:
        return None
    seen.add(path)
    try:
        tree = read_yaml(path)
    except UnicodeDecodeError:
        return f"'{path}' is not UTF-8 text: give a YAML file."
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" near line {mark.line + 1}" if mark else ""
        return f"'{path}' is not valid YAML{place}: check its brackets, colons and indentation."
    except RecursionError:
        return f"'{path}' is nested too deeply: check its brackets and indentation."
    except YAMLLimit as error:
        return f"'{path}' {error}: give a smaller configuration."
    except ValueError as error:
        return f"'{path}' holds a value that cannot be read: {shorten(str(error))}."
    if whole and not isinstance(tree, dict):
        return f"'{path}' holds {'nothing' if tree is None else 'no keys'}: it takes a mapping of keys and values."
    if (beside := _beside_class(tree)) is not None:
        return f"In '{path}' the key '{beside}' stands beside class_path: put it into init_args."
    return next((found for file in _files_in(path) if (found := _find_fault(file, False, seen))), None)


def _files_in(path: Path) -> list[Path]:
    """The YAML files that a file names."""
    names = re.findall(r"[\w./-]+\.ya?ml", path.read_text(encoding="utf-8"))
    return [path.parent / name for name in names if (path.parent / name).is_file()]


def _beside_class(tree: object) -> str | None:
    """The first key of a tree that is no part of an object's description, though there is one; None if none is."""
    if isinstance(tree, dict) and "class_path" in tree and (others := tree.keys() - _DESCRIBING):
        return str(min(others, key=str))
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return next((found for value in values if (found := _beside_class(value)) is not None), None)
