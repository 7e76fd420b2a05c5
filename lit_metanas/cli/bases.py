"""Configurations that lie over others: ``base: FILE``, a path relative to the file that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from os.path import isfile, normpath, samefile
from pathlib import Path

import yaml

from lit_metanas.cli.errors import UsageError, refuse_large_yaml
from lit_metanas.io.yaml_files import read_yaml

BASE = "base"

_CLASSES = ("--model", "--data")
"""Options that name a class, which a configuration may give arguments to without naming it."""


def with_bases(args: Sequence[str]) -> list[str]:
    """Put the configurations of a command line before its keys, and each behind the one that it lies over.

    A base that an earlier configuration has brought, or that the user has given before, is not applied again: it would
    undo what came after it.

    Args:
        args: the command line.

    Returns:
        The verb, if one stands first, each ``-c FILE`` as ``--config=BASE --config=FILE``, and all other words. Those
        that name a class stand before the configurations, too.

    Raises:
        UsageError: a file is too large, a base is missing, is a base of itself, or stands on the command line.
    """
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
    verb = 0 if others and others[0].startswith("-") else 1
    return [*others[:verb], *(_named(others) if layered else ()), *layered, *others[verb:]]


def _named(words: Sequence[str]) -> Iterator[str]:
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
        if not isfile(following):
            what = f"There is no file '{base[:80]}', the '{BASE}' of '{normpath(layers[0])}'"
            raise UsageError(f"{what}: paths are relative to the file they are in.")
        if any(samefile(following, layer) for layer in layers):
            raise UsageError(f"'{normpath(following)}' lies over itself: remove '{BASE}' from one of its bases.")
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
