"""The embedded source of sentences: what the documentation of installed code says, by module."""

from __future__ import annotations

import ast
import gc
import hashlib
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from lit_metanas.io.files import read_regular
from lit_metanas.io.packages import installed_sources
from lit_metanas.kinds.texts.text_source import Sentences, Subsets, TextSource
from lit_metanas.tasks.source import SUBSETS, Subset

NAME_MASK = "_"  # stands for a name of code

PROJECTS = {
    "PIL": "pillow",
    "jsonargparse": "jsonargparse",
    "lightning": "lightning",
    "matplotlib": "matplotlib",
    "mpl_toolkits": "matplotlib",
    "numpy": "numpy",
    "optuna": "optuna",
    "rich": "rich",
    "sqlalchemy": "sqlalchemy",
    "torch": "torch",
    "torchmetrics": "torchmetrics",
    "torchvision": "torchvision",
    "wandb": "wandb",
    "yaml": "PyYAML",
}
"""The packages that this one depends on, and the names that they are installed by; others are Python's own."""

_LARGEST_SOURCE = 1 << 18
_LONGEST_PARAGRAPH = 2_000
_MOST_OF_A_FILE = 25  # sentences, so that no file stands for a whole package
_WORDS = range(6, 41)  # of a sentence, of which at least half are no names
_SKIPPED = frozenset(("test", "tests", "testing", "_vendor", "vendor", "vendored", "site-packages", "__pycache__"))


def sentences_of(module: str, others: frozenset[str], most: int) -> list[str]:
    """The first sentences of the docstrings of a module or package, each once, without names of code."""
    files = _files(module, others)
    found: dict[str, None] = {}
    for file in files:
        masked = _masker((*module.split("."), file.stem))
        kept = [text for text in map(masked, _first_sentences(file)) if _is_sentence(text)]
        found |= dict.fromkeys(kept[: max(_MOST_OF_A_FILE, most // len(files))])
        if len(found) >= most:
            break
    return list(found)[:most]


def _files(module: str, others: frozenset[str]) -> list[Path]:
    """The sources of a module, but those of tests and of other modules, in an order that mixes them."""
    package, *inner = module.split(".")
    if package in PROJECTS:
        root = installed_sources(PROJECTS[package], package)
    else:
        root = Path(sysconfig.get_paths()["stdlib"], package)
    if root is None:
        return []
    folder = root.joinpath(*inner)
    if not folder.is_dir():
        # Of what is written in C, too, Python's own library has a second version, such as `_pydecimal`.
        return [f for f in (folder.with_suffix(".py"), folder.with_name(f"_py{folder.name}.py")) if f.is_file()]
    inside = {}
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        names = {".".join((module, *parts[:depth])) for depth in range(1, len(parts) + 1)}
        if not _SKIPPED & set(parts) and not parts[-1].startswith("test_") and not names & others:
            inside["/".join(parts)] = file
    return [inside[name] for name in sorted(inside, key=lambda name: hashlib.sha256(name.encode()).digest())]


def _first_sentences(file: Path) -> Iterator[str]:
    """Of the docstrings of a file: its own, and those of its classes and functions, in their order."""
    try:
        content = read_regular(file, _LARGEST_SOURCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its escapes, which are another project's matter
            tree = ast.parse(content)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return
    for node in _definitions(tree):
        text = ast.get_docstring(node) or ""
        first = " ".join(text.split("\n\n", 1)[0][:_LONGEST_PARAGRAPH].split())
        yield _END.split(first, maxsplit=1)[0]


def _definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """A module, and all classes and functions in it; expressions, which hold none, are not looked into."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for block in ("finalbody", "orelse", "handlers", "body"):
            waiting += reversed(getattr(node, block, ()))


_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*:])")
_QUOTED = re.compile(r":[\w:]+:`[^`]*`|``[^`]+``_*|`[^`]+`_*|'[^' ]+'|\"[^\" ]+\"|<[^> ]+>")
_CODE = re.compile(
    r"[-*]{0,2}[\w.]*\w\((?:[^()]*)\)"  # calls
    r"|@?\b(?!e\.g\b|i\.e\b)\w+(?:\.\w+)+|(?<!\w)\.\w+(?:\.\w+)*"  # dotted names
    r"|\*{1,2}\w+\*{0,2}|(?<![\w-])--?[a-z]\w*(?:-\w+)*\b"  # arguments and options
    r"|\w*_\w*"
    r"|\b\w*[a-z]\w*[A-Z]\w*|\b[A-Z]{2,}[a-z]\w*"  # capitals within a word
    r"|\b\w*\d\w*"
)
_MASKS = re.compile(rf"{NAME_MASK}(?:[\s,/]*{NAME_MASK})+")


def _masker(names: Collection[str]) -> Callable[[str], str]:
    """What puts the mask in place of code, of some names and those of all packages, and of words made of these."""
    patterns = (_QUOTED, _CODE, _PACKAGES, _words_of(names))

    def masked(text: str) -> str:
        for pattern in patterns:
            text = pattern.sub(NAME_MASK, text)
        return _MASKS.sub(NAME_MASK, text)

    return masked


def _words_of(names: Collection[str]) -> re.Pattern[str]:
    """Any of some names or parts of these, its plural, and, if it has four letters or more, words that it is in."""
    parts = {part.strip("0123456789").lower() for name in names for part in (name, *name.split("_"))}
    parts |= {part[: -len(end)] for part in parts for end in ("lib", "file") if part.endswith(end)}
    stems = sorted({part[:-1] if len(part) > 3 and part.endswith("s") else part for part in parts if len(part) > 1})
    words = (rf"\b\w*{re.escape(s)}\w*" if len(s) > 3 else rf"\b{re.escape(s)}s?\b" for s in stems)
    return re.compile("|".join(words) or "(?!)", re.IGNORECASE)


_PACKAGES = _words_of(PROJECTS)


def _is_sentence(text: str) -> bool:
    words = text.split()
    plain = [word for word in words if word.strip(".,;:!?()'\"").isalpha()]
    return len(words) in _WORDS and 2 * len(plain) >= len(words) and len(plain) >= 3 and not _NO_PROSE.search(text)


_NO_PROSE = re.compile(r">>>|::|==|--|\\|[{}|<>$#~^]|https?:|^[:.@*]|[^\x20-\x7e]")


MODULES: dict[Subset, tuple[str, ...]] = {
    "train": (
        "asyncio", "datetime", "decimal", "enum", "ftplib", "http", "importlib", "inspect", "ipaddress", "logging",
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
"""The classes of each subset, of Python's own library first. No package has classes in two subsets."""

MOST, LEAST = 100, 25  # sentences of a class


class Docstrings(TextSource):
    """First sentences of docstrings: about 5,000 in some 70 classes, each a module of Python or of a dependency.

    Names of code are masked: dotted ones, those with underscores, digits or inner capitals, what is quoted, and those
    of the module and of the packages, so that no sentence gives its label away. One that stands in several classes is
    left out. The sources are parsed and not imported. What they say depends on the versions that are installed, so
    results of different environments are not comparable to the last digit; a module that is absent, or has fewer than
    25 such sentences, is no class.

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
        _ = self._found

    def sentences(self, subset: Subset) -> Sentences:
        """The sentences of each class of a subset."""
        return self._found[subset]

    @cached_property
    def _found(self) -> Subsets:
        was_enabled = gc.isenabled()
        gc.disable()  # syntax trees have no cycles, and the search for such takes four times as long as all else
        try:
            return _make()
        finally:
            if was_enabled:
                gc.enable()

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the package of each class; all modules of Python's own library are one group."""
        packages = (name.partition(".")[0] for name in self.classes(subset))
        return tuple(package if package in PROJECTS else "Python" for package in packages)


def without_shared(classes: Mapping[str, Sequence[str]], least: int) -> dict[str, list[str]]:
    """The sentences that stand in one class only, whatever their case; classes that keep too few are left out."""
    counts = Counter(text for texts in classes.values() for text in {text.casefold() for text in texts})
    kept = {name: [text for text in texts if counts[text.casefold()] == 1] for name, texts in classes.items()}
    return {name: texts for name, texts in kept.items() if len(texts) >= least}


def _make() -> Subsets:
    """Read the sentences of all classes."""
    others = frozenset(name for names in MODULES.values() for name in names)
    found = {name: sentences_of(name, others - {name}, MOST) for names in MODULES.values() for name in names}
    kept = without_shared(found, LEAST)
    subsets = {subset: {name: kept[name] for name in MODULES[subset] if name in kept} for subset in SUBSETS}
    if min(map(len, subsets.values())) < 2:
        raise ValueError(
            "Docstrings found no sources of Python's own library and of the packages that this one depends on: use a "
            "Python that is installed with them, or another source, such as TextTable."
        )
    return subsets
