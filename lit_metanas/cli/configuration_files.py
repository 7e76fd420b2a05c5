"""Configuration files of a command line: the shipped ones, those that lie over others, and those that are no YAML.

A file lies over another one by ``base: FILE``, a path relative to the file that it stands in.
"""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from os.path import exists, isdir, isfile, normpath, realpath, samefile
from pathlib import Path
from typing import Any

import yaml

import lit_metanas
from lit_metanas.cli.errors import UsageError, near_miss
from lit_metanas.cli.verbs import LISTS
from lit_metanas.io.files import FileLimit, short_path
from lit_metanas.io.text import shorten
from lit_metanas.io.yaml_files import read_yaml

BASE = "base"

_CLASSES = ("--model", "--data")
"""Options that name a class, which a configuration may give arguments to without naming it."""

CONFIGS = (Path(lit_metanas.__file__).parent / "configs").resolve()
"""The folder of the shipped configurations; in a clone it is the one at the root."""

USES = {
    "experiments": "run {}",
    "fit": "fit -c {}",
    "search": "search -c {}",
    "amortised": "search -c {}",
    "protocols": "fit -c conv4 -c {}",
    "recipes": "fit -c conv4 -c {}",
    "loggers": "fit -c meta_search -c {}",
    "cluster": "fit -c meta_search -c {}",
    "spaces": "fit -c meta_search --model.space {}",
    "sources": "fit -c conv4 --data.source {}",
}
"""For each folder of configurations how the command line usually takes one, by its name."""

_EPISODES = ("fit", "protocols", "recipes", "loggers", "cluster")
_FOLDERS = {
    "run": ("experiments",),
    "fit": _EPISODES,
    "validate": _EPISODES,
    "test": _EPISODES,
    "search": ("search", "amortised", "protocols", "loggers"),
}
"""For each verb the folders in which a name is looked for first."""

_PARTS = {"space": "spaces", "source": "sources", "tasks": "sources"}
"""The folder of what a key takes, by the last word of the key."""

_INLINE = re.compile(r"[{\[\n]")
_FIELDS = ("Command", "Result", "Takes")


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


def with_lists(args: Sequence[str], verb: str) -> list[str]:
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
            raise UsageError(
                f"There is no file '{base[:80]}', the '{BASE}' of '{normpath(layers[0])}': paths are relative to the "
                "file they are in."
            )
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
    except FileLimit as error:
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


@cache
def shipped_names() -> tuple[str, ...]:
    """All names, each with its folder, such as ``fit/meta_search``; those of scripts with their ending."""
    paths = (path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.suffix in (".yaml", ".sh"))
    return tuple(sorted(path.removesuffix(".yaml") for path in paths))


def path_of_name(name: str) -> Path:
    """The file of a whole name."""
    return CONFIGS / (name if name.endswith(".sh") else f"{name}.yaml")


def shown_path(path: str) -> str:
    """A configuration as a user can give it: a shipped one by its name, if the working folder has no file of it."""
    real = realpath(path)
    name = Path(real).with_suffix("").as_posix().removeprefix(f"{CONFIGS.as_posix()}/")
    if name in shipped_names() and configuration_path(name) == real:
        return name
    return short_path(path)


def with_parts(args: Sequence[str]) -> Iterator[str]:
    """A command line with the paths of the shipped parts that it names, as in ``--model.space few_shot``."""
    for before, word in zip(["", *args], args, strict=False):
        key, equals, value = word.partition("=")
        if equals:
            yield f"{key}={_part_path(key, value)}"
        else:
            yield _part_path(before, word)


def configuration_path(word: str, verb: str = "") -> str:
    """The path of the configuration that a word names: a file, or else a shipped one; YAML itself stays as it is."""
    for path in (word, f"{word}.yaml"):
        if isfile(path):
            return path
    if _INLINE.search(word) or (exists(word) and not isdir(word)):
        return word
    return str(_shipped_path(word, verb, "file or configuration"))


def _shipped_path(word: str, verb: str, sought: str) -> Path:
    every = _matching(word)
    # Of several those of the verb.
    found = [name for name in every if name.partition("/")[0] in _FOLDERS.get(verb, ())] or every
    if len(found) > 1:
        raise UsageError(f"Several configurations have the name '{word}': give one of {', '.join(found)}.")
    if not found:
        raise UsageError(f"There is no {sought} '{shorten(word)}'{_near(word)} See `lit-metanas configs`.")
    return path_of_name(found[0])


def _part_path(key: str, value: str) -> str:
    """The value of a key, with the path of the shipped part that it names."""
    folder = _PARTS.get(key.rpartition(".")[2].removeprefix("--"))
    if folder is None or not key.startswith("--") or isfile(value):
        return value
    found = [name for name in _matching(value) if name.startswith(f"{folder}/")]
    if len(found) != 1:
        return value
    return str(path_of_name(found[0]))


def _matching(word: str) -> list[str]:
    parts = _bare(word).split("/")
    return [name for name in shipped_names() if name.split("/")[-len(parts) :] == parts]


def _bare(word: str) -> str:
    """A word without the ending and the folder that all configurations share."""
    return re.sub(r"(\.ya?ml)*$", "", word).removeprefix("configs/")


def _near(word: str) -> str:
    """The name that has a word in it, or is most like it, as a sentence ends."""
    bare, known = _bare(word), [*shipped_names()]
    if "/" not in bare:
        known = [name.rpartition("/")[2] for name in known]
    return near_miss(bare, [name for name in known if bare and bare in name] or known)


@dataclass(frozen=True)
class Shipped:
    """What a configuration's first lines say of it."""

    name: str  # with its folder
    purpose: str
    command: str  # one that uses it
    result: str  # empty where none was measured, as are the time and the memory that it takes
    takes: str


def described_in(folder: str) -> list[Shipped]:
    """What all configurations of a folder say of themselves."""
    return [described(name) for name in shipped_names() if name.startswith(f"{folder}/")]


def described(name: str) -> Shipped:
    """Read what a configuration says of itself: sentences, the first of which is its purpose, and lines of fields."""
    lines = path_of_name(name).read_text(encoding="utf-8").splitlines()
    if lines[0].startswith("#!"):  # of a script
        del lines[0]
    comments = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("# "), lines)]
    fields = {key: value for key, _, value in (line.partition(": ") for line in comments) if key in _FIELDS}
    text = " ".join(line for line in comments if line.partition(": ")[0] not in _FIELDS)
    folder, _, short = name.rpartition("/")
    if len(_matching(short)) > 1:
        short = name
    return Shipped(
        name=name,
        purpose=re.split(r"(?<=\.) ", text, maxsplit=1)[0],
        command=fields.get("Command", f"lit-metanas {USES[folder.partition('/')[0]].format(short)}"),
        result=fields.get("Result", ""),
        takes=fields.get("Takes", ""),
    )


def configs(name: str = "") -> None:
    """Print a shipped configuration, or without a name a list of all with what each is for, and what it takes."""
    if name:
        # Never a file of the working folder: the shell has made an empty one for `configs slurm.sh > slurm.sh`.
        print(_shipped_path(name, "", "configuration").read_text(encoding="utf-8"), end="")
        return
    for folder, use in USES.items():
        print(f"{folder}: lit-metanas {use.format('NAME')}")
        for shipped in described_in(folder):
            begin, text = f"  {shipped.name.partition('/')[2]:<24} ", shipped.purpose
            if shipped.takes:
                text += f" ({shipped.takes})"
            width = shutil.get_terminal_size().columns
            print(textwrap.fill(text, width, initial_indent=begin, subsequent_indent=" " * len(begin)))
