"""Configuration files of a command line: those that cannot be read, and those that lie over others.

A file lies over another one by ``base: FILE``, a path relative to the file that it stands in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from os.path import exists, isfile, normpath, samefile
from pathlib import Path
from typing import Any

import yaml

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.shipped_configurations import configuration_path, with_parts
from lit_metanas.cli.verbs import LISTS
from lit_metanas.io.text import shorten
from lit_metanas.io.yaml_files import YAMLLimit, read_yaml

BASE = "base"

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
    for path, whole in named_files([*(f"--config={path}" for path in configs), *others]):
        check_file(path, whole)
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
    pairs = zip(["", *others], others, strict=False)
    classes = [word for before, word in pairs if before in _CLASSES or word.partition("=")[0] in _CLASSES]
    return [*verbs, *classes, *layered, *others[len(verbs) :]]


def with_lists(args: Sequence[str], verb: str = "") -> list[str]:
    """``--examples A B``, as a shell makes it of ``*.png``, as the one list that the parser takes, in JSON."""
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
    base = check_file(Path(path), whole=True).get(BASE)
    return base if isinstance(base, str) else None  # the parser refuses what is no text


def yaml_files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments as ``with_bases`` gives them, and whether each is a whole configuration."""
    for argument in args:
        option, _, name = argument.rpartition("=")
        if (option == "--config" or name.endswith((".yaml", ".yml"))) and isfile(name):
            yield Path(name), option == "--config"


def named_files(args: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The YAML files among arguments, as ``yaml_files`` gives them, and those that are named in them, each once."""
    found, seen = list(yaml_files(args)), set[Path]()
    for path, whole in found:
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield path, whole
            with suppress(ValueError):  # no text
                # Paths are relative to the file that names them.
                names = re.findall(r"[\w./-]+\.ya?ml", path.read_text(encoding="utf-8"))
                found += [(path.parent / name, False) for name in names if (path.parent / name).is_file()]


def check_file(path: Path, whole: bool = False) -> Any:
    """What a file holds. Raises UsageError if it is no YAML or beyond a limit, or a ``whole`` one is no mapping."""
    try:
        tree = read_yaml(path)
    except YAMLLimit as error:
        raise UsageError(f"'{path}' {error}: give a smaller configuration.") from None
    except RecursionError:
        raise UsageError(f"'{path}' is nested too deeply: check its brackets and indentation.") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = shorten(" ".join(str(error).split()), 300)
        raise UsageError(
            f"'{path}' is not valid YAML ({reason}): check its brackets, colons and indentation."
        ) from None
    if whole and not isinstance(tree, dict):
        raise UsageError(f"'{path}' holds no keys: it takes a mapping of keys and values.")
    return tree
