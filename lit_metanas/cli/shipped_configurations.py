"""The shipped configurations: found by their names, listed, printed."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import takewhile
from os.path import exists, isdir, isfile
from pathlib import Path

import lit_metanas
from lit_metanas.cli.errors import UsageError
from lit_metanas.io.text import shorten

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
    "embeddings": "search -c random_search --model.methods.TPE.embedding {}",
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

_PARTS = {"space": "spaces", "source": "sources", "tasks": "sources", "embedding": "embeddings"}
"""The folder of what a key takes, by the last word of the key."""

_ENDINGS = (".yaml", ".yml")
_INLINE = re.compile(r"[{\[\n]")
_GLUED = re.compile(r"(--config=|-c=?)(.+)", re.DOTALL)
_FIELDS = ("Command", "Result", "Takes")


@cache
def shipped_names() -> tuple[str, ...]:
    """All names, each with its folder, such as ``fit/meta_search``; those of scripts with their ending."""
    paths = (path.relative_to(CONFIGS) for path in CONFIGS.rglob("*") if path.suffix in (".yaml", ".sh"))
    return tuple(sorted(path.as_posix().removesuffix(".yaml") for path in paths))


def path_of_name(name: str) -> Path:
    """The file of a whole name."""
    return CONFIGS / (name if name.endswith(".sh") else f"{name}.yaml")


def shown_path(path: str) -> str:
    """A configuration as a user can give it: a shipped one by its name, if the working folder has no file of it."""
    name = Path(path).with_suffix("").as_posix().removeprefix(f"{CONFIGS.as_posix()}/")
    return name if name in shipped_names() and configuration_path(name) == path else path


def with_paths(args: Sequence[str], verb: str = "") -> Iterator[str]:
    """A command line with the paths of the shipped configurations that it names, behind ``-c`` or for a part.

    Raises:
        UsageError: there is neither such a file nor such a configuration, or several configurations have the name.
    """
    for before, word in zip(["", *args], args, strict=False):
        key, equals, value = word.partition("=")
        if before in ("-c", "--config"):
            yield configuration_path(word, verb)
        elif glued := _GLUED.fullmatch(word):
            yield f"{glued[1]}{configuration_path(glued[2], verb)}"
        elif equals:
            yield f"{key}={_part_path(key, value)}"
        else:
            yield _part_path(before, word)


def configuration_path(word: str, verb: str = "") -> str:
    """The path of the configuration that a word names.

    A file of the working folder comes first. What is written in YAML itself is returned as it is.

    Args:
        word: a path; or a name, with its folder where several configurations share it.
        verb: whose configurations are meant if several have this name.

    Raises:
        UsageError: see ``with_paths``.
    """
    own = next((path for path in (word, f"{word}{_ENDINGS[0]}") if isfile(path)), None)
    if own is not None or _INLINE.search(word) or (exists(word) and not isdir(word)):
        return own or word
    found = _matching(word)
    if len(found) > 1:
        of_verb = [name for name in found if name.partition("/")[0] in _FOLDERS.get(verb, ())]
        found = of_verb or found
    if len(found) > 1:
        raise UsageError(f"Several configurations have the name '{word}': give one of {', '.join(found)}.")
    if not found:
        raise UsageError(f"There is no file or configuration '{shorten(word)}'{_near(word)} See `lit-metanas configs`.")
    return str(path_of_name(found[0]))


def _part_path(key: str, value: str) -> str:
    """The value of a key, with the path of the shipped part that it names."""
    folder = _PARTS.get(key.rpartition(".")[2].removeprefix("--"))
    if folder is None or not key.startswith("--") or isfile(value):
        return value
    found = [name for name in _matching(value) if name.startswith(f"{folder}/")]
    return str(path_of_name(found[0])) if len(found) == 1 else value


def _matching(word: str) -> list[str]:
    """The whole names that a word may stand for."""
    parts = _bare(word).split("/")
    return [name for name in shipped_names() if name.split("/")[-len(parts) :] == parts]


def _bare(word: str) -> str:
    """A word without the ending and the folder that all configurations share."""
    for ending in _ENDINGS:
        word = word.removesuffix(ending)
    return word.removeprefix("configs/")


def _near(word: str) -> str:
    """The names that have a word in them, or are most like it, as a sentence ends."""
    bare = _bare(word)
    known = dict.fromkeys(name if "/" in bare else name.rpartition("/")[2] for name in shipped_names())
    longer = [name for name in known if len(bare) > 2 and bare in name]
    near = [f"'{name}'" for name in longer[:3] or get_close_matches(bare, known, cutoff=0.7)]
    return f": did you mean {' or '.join(near)}?" if near else "."


@dataclass(frozen=True)
class Shipped:
    """What a configuration's first lines say of it.

    Attributes:
        name: with its folder.
        purpose: a sentence.
        command: one that uses it.
        result: what it came to where it was measured, or empty.
        takes: the time and the memory that it took there, or empty.
    """

    name: str
    purpose: str
    command: str
    result: str
    takes: str


def described_in(folder: str) -> list[Shipped]:
    """What all configurations of a folder say of themselves."""
    return [described(name) for name in shipped_names() if name.startswith(f"{folder}/")]


def described(name: str) -> Shipped:
    """Read what a configuration says of itself: sentences, the first of which is its purpose, and lines of fields."""
    lines = path_of_name(name).read_text(encoding="utf-8").splitlines()
    if name.endswith(".sh"):
        lines = lines[1:]
    comments = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("# "), lines)]
    fields = {key: value for key, _, value in (line.partition(": ") for line in comments) if key in _FIELDS}
    text = " ".join(line for line in comments if line.partition(": ")[0] not in _FIELDS)
    usual = f"lit-metanas {USES[name.partition('/')[0]].format(_short(name))}"
    return Shipped(
        name=name,
        purpose=re.split(r"(?<=\.) ", text, maxsplit=1)[0],
        command=fields.get("Command", usual),
        result=fields.get("Result", ""),
        takes=fields.get("Takes", ""),
    )


def _short(name: str) -> str:
    """A name without its folder, where that names one configuration."""
    bare = name.rpartition("/")[2]
    return bare if len(_matching(bare)) == 1 else name


def configs(name: str = "") -> None:
    """Print a shipped configuration, or a list of all with what each is for, and what it takes.

    Args:
        name: with its folder where several configurations share it; the list if empty.
    """
    if name:
        print(Path(configuration_path(name)).read_text(encoding="utf-8"), end="")
        return
    for folder, use in USES.items():
        print(f"{folder}: lit-metanas {use.format('NAME')}")
        for shipped in described_in(folder):
            begin = f"  {shipped.name.partition('/')[2]:<24} "
            text = f"{shipped.purpose} ({shipped.takes})" if shipped.takes else shipped.purpose
            width = shutil.get_terminal_size().columns
            print(textwrap.fill(text, width, initial_indent=begin, subsequent_indent=" " * len(begin)))
