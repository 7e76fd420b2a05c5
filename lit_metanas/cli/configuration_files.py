"""Configuration files of a command line: those that cannot be read, and those that lie over others.

A file lies over another one by ``base: FILE``, a path relative to the file that it stands in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from os.path import exists, isfile, normpath, samefile
from pathlib import Path

import yaml

from lit_metanas.cli.errors import UsageError, last_name
from lit_metanas.cli.shipped_configurations import configuration_path, shown_path, with_parts
from lit_metanas.cli.verbs import KEYS, LISTS, MODELS, TRAINER_VERBS
from lit_metanas.io.text import shorten
from lit_metanas.io.yaml_files import YAMLLimit, read_yaml

TRAINER_KEYS = ("model", "data", "trainer", "ckpt_path", "seed_everything")
"""Keys of the configurations of the Trainer's verbs."""

BASE = "base"

_DESCRIBING = {"class_path", "init_args", "dict_kwargs"}
"""Keys of what describes an object."""

_CLASSES = ("--model", "--data")
"""Options that name a class, which a configuration may give arguments to without naming it."""


def with_bases(args: Sequence[str], verb: str = "") -> list[str]:
    """A command line with its configurations, as ``--config=FILE``, before its keys, each behind those that it is over.

    Words that name a class stand before the configurations, too. A base that an earlier configuration has brought, or
    that the user has given before, is not applied again: it would undo what came after it.
    """
    configs: list[str] = []
    others: list[str] = []
    words = iter(args)
    for word in words:
        if word.partition("=")[0] == f"--{BASE}":
            raise UsageError(f"'{BASE}' is a key of configuration files: give the file that it is to name by -c.")
        if glued := re.fullmatch(r"(?:--config=|-c=?)(.+)", word, re.DOTALL):
            configs.append(configuration_path(glued[1], verb))
        elif word in ("-c", "--config") and (name := next(words, None)) is not None:
            configs.append(configuration_path(name, verb))
        else:
            others.append(word)
    others = list(with_parts(others))
    for path, _ in named_files([*(f"--config={path}" for path in configs), *others]):
        fault_of(path)
    layered: list[str] = []
    applied: set[Path] = set()
    for config in configs:
        for layer in _layers(config):
            if layer == config or Path(layer).resolve() not in applied:
                layered.append(f"--config={layer}")
            applied.add(Path(layer).resolve())
    if not layered:
        return others
    verbs = list(takewhile(lambda word: not word.startswith("-"), others[:1]))
    return [*verbs, *_class_words(others), *layered, *others[len(verbs) :]]


def with_lists(args: Sequence[str], verb: str = "") -> list[str]:
    """``--data.examples A B``, as a shell makes it of ``*.png``, as the one list that the parser takes, in JSON."""
    joined, rest = list[str](), list(args)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.partition("=")
        paths = [value] if equals else []
        while key in LISTS.get(verb, ()) and rest and (not rest[0].startswith("-") or exists(rest[0])):
            paths.append(rest.pop(0))
        if key not in LISTS.get(verb, ()) or not paths:
            joined.append(word)
        elif len(paths) == 1 and paths[0].startswith("["):  # a list as it is
            joined.append(f"{key}={paths[0]}")
        else:
            joined.append(f"{key}={json.dumps(paths)}")  # as a name may be YAML for something else (``a: b.png``)
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
    """The base that a file names; None where it names none, or is no file but YAML itself."""
    if not isfile(path):
        return None
    if (fault := fault_of(Path(path), whole=True)) is not None:
        raise UsageError(fault)
    base = read_yaml(path).get(BASE)
    if not isinstance(base, str):  # as the parser will say
        return None
    return base


def yaml_files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments as ``with_bases`` gives them, and whether each is a whole configuration."""
    for argument in args:
        option, _, name = argument.rpartition("=")
        if (option == "--config" or name.endswith((".yaml", ".yml"))) and isfile(name):
            yield Path(name), option == "--config"


def named_files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments, as ``yaml_files`` gives them, and those that are named in them, each once."""
    waiting, seen = list(yaml_files(args)), set[Path]()
    while waiting:
        path, whole = waiting.pop(0)
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield path, whole
            with suppress(ValueError):  # no text
                waiting += [(file, False) for file in files_named_in(path)]


def files_named_in(path: Path) -> list[Path]:
    """The YAML files that a file names, by paths relative to itself."""
    names = re.findall(r"[\w./-]+\.ya?ml", path.read_text(encoding="utf-8"))
    return [path.parent / name for name in names if (path.parent / name).is_file()]


def find_yaml_fault(args: Sequence[str]) -> str | None:
    """A sentence on the first of the files among the arguments, or named in those, that is no YAML; else None."""
    return next((fault for path, whole in named_files(args) if (fault := fault_of(path, whole))), None)


def fault_of(path: Path, whole: bool = False) -> str | None:
    """What is wrong with a file, or with a ``whole`` configuration; raises UsageError if it is beyond a limit."""
    try:
        tree = read_yaml(path)
    except UnicodeDecodeError:
        return f"'{path}' is not UTF-8 text: give a YAML file."
    except yaml.MarkedYAMLError as error:
        place = f" near line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"'{path}' is not valid YAML{place}: check its brackets, colons and indentation."
    except yaml.YAMLError:
        return f"'{path}' is not valid YAML: check its brackets, colons and indentation."
    except RecursionError:
        return f"'{path}' is nested too deeply: check its brackets and indentation."
    except YAMLLimit as error:
        raise UsageError(f"'{path}' {error}: give a smaller configuration.") from None
    except ValueError as error:
        return f"'{path}' holds a value that cannot be read: {shorten(str(error))}."
    if whole and tree is None:
        return f"'{path}' holds nothing: it takes a mapping of keys and values."
    if whole and not isinstance(tree, dict):
        return f"'{path}' holds no keys: it takes a mapping of keys and values."
    if (key := _key_next_to_class(tree)) is not None:
        return f"In '{path}' the key '{key}' stands beside class_path: put it into init_args."
    return None


def _key_next_to_class(tree: object) -> str | None:
    """The first key of a tree that is no part of an object's description, though there is one; None if none is."""
    values: Iterable[object] = ()
    if isinstance(tree, list):
        values = tree
    elif isinstance(tree, dict):
        if "class_path" in tree and (others := tree.keys() - _DESCRIBING):
            return str(min(others, key=str))
        values = tree.values()
    return next((found for value in values if (found := _key_next_to_class(value)) is not None), None)


def find_misplaced_yaml(args: Sequence[str], verb: str) -> str | None:
    """A sentence on the last of the configurations among the arguments that is for another verb; None if none is."""
    sentence, verbs = None, list[str]()
    for path in (path for path, whole in yaml_files(args) if whole):
        tree, shown = read_yaml(path), shown_path(str(path))
        if "class_path" in tree:
            name = shorten(last_name(str(tree["class_path"])))
            return f"'{shown}' describes only a {name}: give it to the key that takes one, not to -c."
        before, verbs = verbs, _verbs_of(tree)
        if BASE in tree:  # the file before
            verbs = [each for each in verbs if each in before] or verbs
        if verb and verbs and verb not in verbs:
            sentence = f"'{shown}' is for `lit-metanas {verbs[0]}`, not for `{verb}`."
    return sentence


def _verbs_of(tree: Mapping[str, object]) -> list[str]:
    """The verbs that a configuration may be for, by its keys; none where these do not say."""
    if not tree:
        return []
    if not tree.keys().isdisjoint(TRAINER_KEYS):
        model = tree.get("model")
        if isinstance(model, dict):
            model = model.get("class_path")
        return verbs_of_model(last_name(str(model))) or list(TRAINER_VERBS)
    return [verb for verb, keys in KEYS.items() if len(tree.keys() & keys.keys()) > 1 or tree.keys() <= keys.keys()]


def verbs_of_model(name: str) -> list[str]:
    """The verbs that take a model of this package; none where it is not known."""
    verbs = [verb for verb, models in MODELS.items() if name in models]
    if "fit" in verbs:
        return ["fit", "validate", "test"]
    return verbs
