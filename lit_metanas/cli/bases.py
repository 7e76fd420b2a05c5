"""Configurations that lie over others: ``base: FILE``, a path relative to the file that it stands in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import isfile, normpath, samefile
from pathlib import Path

import yaml

from lit_metanas.cli.errors import UsageError, refuse_large_yaml
from lit_metanas.io.yaml_files import read_yaml

BASE = "base"


def with_bases(args: Sequence[str]) -> list[str]:
    """Let each configuration of a command line follow the one that it lies over.

    A base that an earlier configuration has brought, or that the user has given before, is not applied again: it would
    undo what came after it.

    Args:
        args: the command line.

    Returns:
        The same, where ``-c FILE`` has become ``--config=BASE --config=FILE``.

    Raises:
        UsageError: a file is too large, a base is missing, is a base of itself, or stands on the command line.
    """
    refuse_large_yaml(args)
    layered: list[str] = []
    applied: set[Path] = set()
    words = iter(args)
    for word in words:
        if word.partition("=")[0] == f"--{BASE}":
            raise UsageError(f"'{BASE}' is a key of configuration files: give the file that it is to name by -c.")
        glued = re.fullmatch(r"(?:--config=|-c=?)(.+)", word)
        path = glued[1] if glued else next(words, None) if word in ("-c", "--config") else None
        if path is None:  # an argument of another kind, or one that lacks its value, as the parser will say
            layered.append(word)
            continue
        for layer in _layers(path):
            if layer == path or Path(layer).resolve() not in applied:
                layered.append(f"--config={layer}")
            applied.add(Path(layer).resolve())
    return layered


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
