"""The embedded source of sentences: what the documentation of installed code says, by module."""

from __future__ import annotations

import ast
import gc
import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lit_metanas.io.files import read_regular
from lit_metanas.kinds.texts.text_source import Sentences, Subsets, TextSource
from lit_metanas.tasks.source import SUBSETS, Subset

NAME_MASK = "_"  # stands for a name of code

# Those that this package depends on; others are Python's own.
DOCUMENTED_PACKAGES = (
    "PIL", "jsonargparse", "lightning", "matplotlib", "mpl_toolkits", "numpy", "optuna", "rich", "sqlalchemy", "torch",
    "torchmetrics", "torchvision", "wandb", "yaml",
)  # fmt: skip

# The classes of each subset, of Python's own library first. No package has classes in two subsets.
MODULES: dict[Subset, tuple[str, ...]] = {
    "train": (
        "asyncio", "datetime", "enum", "ftplib", "http", "importlib", "inspect", "ipaddress", "logging",
        "multiprocessing", "pathlib", "pdb", "ssl", "statistics", "threading", "typing", "unittest", "zipfile",
        "lightning.fabric", "lightning.pytorch", "numpy.lib", "numpy.ma", "numpy.polynomial",
        "torch.ao", "torch.autograd", "torch.cuda", "torch.distributed", "torch.distributions", "torch.fx", "torch.nn",
        "torch.onnx", "torch.optim", "torch.profiler", "torch.utils", "torchmetrics.classification",
        "torchmetrics.image", "torchvision.datasets", "torchvision.models", "torchvision.transforms",
    ),
    "val": (
        "concurrent", "configparser", "difflib", "doctest", "imaplib", "pydoc", "wsgiref", "xmlrpc",
        "jsonargparse", "optuna.samplers", "optuna.storages", "rich",
    ),
    "test": (
        "email", "mailbox", "smtplib", "tarfile", "tkinter", "turtle", "urllib", "xml",
        "PIL", "matplotlib.backends", "mpl_toolkits", "sqlalchemy.dialects", "sqlalchemy.engine", "sqlalchemy.ext",
        "sqlalchemy.orm", "sqlalchemy.sql", "wandb.apis", "wandb.integration", "wandb.sdk",
    ),
}  # fmt: skip

MOST, LEAST = 100, 25  # sentences of a class

_LARGEST_SOURCE = 1 << 18
_LONGEST_PARAGRAPH = 2_000
_MOST_OF_A_FILE = 25  # sentences, so that no file stands for a whole package
_WORDS = range(6, 41)  # of a sentence, of which at least half are no names
_SKIPPED = frozenset(("test", "tests", "testing", "_vendor", "vendor", "vendored", "site-packages", "__pycache__"))


class Docstrings(TextSource):
    """First sentences of docstrings: about 5,000 in some 70 classes, each a module of Python or of a dependency.

    Names of code are masked: all that is no plain word, and the names of the module and of the packages, so that no
    sentence gives its label away. One that stands in several classes is left out. The sources are parsed and not
    imported. What they say depends on the versions that are installed, so results of different environments are not
    comparable to the last digit; a module that is absent, or has fewer than 25 such sentences, is no class.

    Args:
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Raises:
        ValueError: Python is installed without its sources.

    Example:
        >>> source = lm.kinds.Docstrings()
        >>> episode = lm.tasks.draw_episode(source, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(source.classes("test")) >= 10
        (32, True)
    """

    def prepare(self) -> None:
        """Find the sentences."""
        _read_all()

    def sentences(self, subset: Subset) -> Sentences:
        """The sentences of each class of a subset."""
        return _read_all()[subset]


@cache
def _read_all() -> Subsets:
    """The sentences of all classes; one that stands in several, whatever its case, is left out."""
    others = frozenset(name for names in MODULES.values() for name in names)
    was_enabled = gc.isenabled()
    gc.disable()  # syntax trees have no cycles, and the search for such takes four times as long as all else
    try:
        found = {name: sentences_of(name, others - {name}, MOST) for name in sorted(others)}
    finally:
        if was_enabled:
            gc.enable()
    counts = Counter(text for texts in found.values() for text in {text.casefold() for text in texts})
    own = {name: [text for text in texts if counts[text.casefold()] == 1] for name, texts in found.items()}
    subsets = {part: {name: own[name] for name in MODULES[part] if len(own[name]) >= LEAST} for part in SUBSETS}
    if min(map(len, subsets.values())) < 2:
        raise ValueError(
            "Docstrings found no sources of Python's own library and of the packages that this one depends on: use a "
            "Python that is installed with them, or another source, such as TextTable."
        )
    return subsets


def sentences_of(module: str, others: frozenset[str], most: int) -> list[str]:
    """The first sentences of the docstrings of a module or package, each once, without names of code."""
    files = _files(module, others)
    found: dict[str, None] = {}
    for file in files:
        names = _words_of((*module.split("."), file.stem))
        masked = (mask_names(text, names) for text in _first_sentences(file))
        kept = [text for text in masked if _is_sentence(text)]
        found |= dict.fromkeys(kept[: max(_MOST_OF_A_FILE, most // len(files))])
        if len(found) >= most:
            break
    return list(found)[:most]


def _files(module: str, others: frozenset[str]) -> list[Path]:
    """The sources of a module, but those of tests and of other modules, in an order that mixes them."""
    package, *inner = module.split(".")
    spec = find_spec(package)  # of a package itself, which is not imported for it
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return [Path(spec.origin or "")]
    folder = Path(spec.submodule_search_locations[0], *inner)
    inside = {}
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        names = {".".join((module, *parts[:depth])) for depth in range(1, len(parts) + 1)}
        if not _SKIPPED & {*parts} and not parts[-1].startswith("test_") and not names & others:
            inside["/".join(parts)] = file
    return [inside[name] for name in sorted(inside, key=lambda name: hashlib.sha256(name.encode()).digest())]


def _first_sentences(file: Path) -> Iterator[str]:
    """Of the docstrings of a file: its own, and those of its classes and functions, in their order."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its escapes, which are another project's matter
            tree = ast.parse(read_regular(file, _LARGEST_SOURCE))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return
    for text in _docstrings(tree):
        first = " ".join(text.split("\n\n", 1)[0][:_LONGEST_PARAGRAPH].split())
        yield _END.split(first, maxsplit=1)[0]


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Of a module, and all classes and functions in it."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield ast.get_docstring(node) or ""
    for inner in getattr(node, "body", ()):  # statements alone, as expressions hold neither
        yield from _docstrings(inner)


_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*:])")
_WORD = re.compile(r"([\"'(]*)(.*?)([\"').,;:!?]*)")  # with the marks at its ends
_PLAIN = re.compile(r"[A-Za-z]?[a-z]*(?:['-][a-z]+)*|e\.g|i\.e")


def mask_names(text: str, names: re.Pattern[str]) -> str:
    """A text with a mask in place of all that is no plain word, and of some names and those of all packages."""
    words = []
    for word in text.split():
        begin, core, end = _WORD.fullmatch(word).groups()  # type: ignore[union-attr]
        if not _PLAIN.fullmatch(core) or names.search(core) or _PACKAGE_NAMES.search(core):
            word = f"{begin}{NAME_MASK}{end}"
        words.append(word)
    return " ".join(words)


def _words_of(names: Collection[str]) -> re.Pattern[str]:
    """Any of some names or parts of these, its plural, and, if it has four letters or more, words that it is in."""
    parts = {part.strip("0123456789").lower() for name in names for part in (name, *name.split("_"))}
    parts |= {part[: -len(end)] for part in parts for end in ("lib", "file") if part.endswith(end)}
    stems = sorted({part[:-1] if len(part) > 3 and part.endswith("s") else part for part in parts if len(part) > 1})
    words = (re.escape(stem) if len(stem) > 3 else rf"\b{re.escape(stem)}s?\b" for stem in stems)
    return re.compile("|".join(words) or "(?!)", re.IGNORECASE)


_PACKAGE_NAMES = _words_of(DOCUMENTED_PACKAGES)


def _is_sentence(text: str) -> bool:
    """Whether most of a text of some length are plain words."""
    words = text.split()
    return len(words) in _WORDS and 2 * sum(NAME_MASK in word for word in words) <= len(words)
