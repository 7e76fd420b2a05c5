"""Sentences of many classes, from which episodes and tasks are drawn: of any source, of files, or of docstrings."""

from __future__ import annotations

import ast
import gc
import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs import Preprocessing, Shape, TextPreprocessing
from lit_metanas.io.files import read_regular
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.texts.table_files import checked_row, text_key
from lit_metanas.kinds.texts.text_tables import labelled_texts
from lit_metanas.kinds.texts.vocabularies import Words
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource
from lit_metanas.tasks.splits import class_subsets
from lit_metanas.tasks.task import warn_of_data

Sentences = Mapping[str, Sequence[str]]  # of each class, by its name

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


class TextSource(TaskSource):
    """Sentences by class. The tokens of a class are kept in memory from its first use on.

    Args:
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Example:
        >>> class Greetings(lm.kinds.TextSource):
        ...     def sentences(self, subset):
        ...         return {"hello": ["good day", "good morning"], "farewell": ["good night", "see you"]}
        >>> source = Greetings(lm.kinds.Words(least=1, steps=3))
        >>> source.inputs("train", 0, [0, 1])
        tensor([[2, 3, 0],
                [2, 4, 0]])
    """

    _sentences: Mapping[Subset, Sentences]

    def __init__(self, preprocessing: TextPreprocessing | None = None) -> None:
        self._given = preprocessing
        self._tokens: dict[tuple[Subset, int], Tensor] = {}

    def sentences(self, subset: Subset) -> Sentences:
        """The sentences of each class of a subset."""
        return self._sentences[subset]

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the vocabulary of a meta-training, unless a preprocessing was given.

        Raises:
            ValueError: it is for other examples than texts.
        """
        if self._given is None:
            self.preprocessing = TextPreprocessing.checked(preprocessing, self.name)
            self._tokens.clear()

    @cached_property
    def preprocessing(self) -> TextPreprocessing:
        """What makes inputs of sentences, with its vocabulary."""
        return (self._given or Words()).fitted(chain.from_iterable(self.sentences("train").values()))

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self.preprocessing.shape

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes."""
        return tuple(self.sentences(subset))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many sentences a class has; none is held out."""
        if held_out:
            return 0
        return len(self.sentences(subset)[self.classes(subset)[class_index]])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return the inputs of sentences of one class."""
        place = subset, class_index
        if place not in self._tokens:
            texts = self.sentences(subset)[self.classes(subset)[class_index]]
            # Half the memory of int64, which networks get.
            self._tokens[place] = self.preprocessing.tokens(texts).to(torch.int32)
        return self._tokens[place][list(instances)].long()


class TextTable(TextSource):
    r"""A table of texts and labels, or a folder of text files, in UTF-8; its classes are split as given, or by a seed.

    The first line of CSV and TSV names the columns; in TSV quotes are letters like others. A text that repeats another
    of its class, but for capitals and white space, is left out, with a warning.

    Args:
        path: a file of CSV, TSV, JSON lines or one list in JSON, perhaps with ``.gz``; or a folder, in which each
            sub-folder is a class, and each ``.txt`` file directly in it an example.
        text: the column of texts; None finds it by a usual name, such as ``text``, or takes the other one of two.
        label: the column of labels; None finds it by a usual name, such as ``label``, or takes the other one of two. Of
            two columns with unusual names, labels are in the one with fewer different values.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a table or a file is malformed, a named class does not exist, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"how do I {verb} it {n} times,{verb}" for verb in ("fold", "cut", "glue", "sew") for n in range(9)]
        >>> size = Path("help.csv").write_text("sentence,intent\n" + "\n".join(rows))
        >>> source = lm.kinds.TextTable("help.csv", train=["cut", "fold"], test=["glue", "sew"])
        >>> source.classes("test"), lm.draw_task(source, way=2, train=4, val=2, test=3).shape
        (('glue', 'sew'), TokenShape(vocabulary=18, steps=32))
    """

    name: str = ""  # of the file or folder

    def __init__(
        self,
        path: str,
        text: str | None = None,
        label: str | None = None,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        preprocessing: TextPreprocessing | None = None,
    ) -> None:
        super().__init__(preprocessing)
        self.path = Path(path)
        self.name = self.path.resolve().name if self.path.is_dir() else self.path.stem
        place = writable(path)
        rows = [checked_row(row, place) for row in labelled_texts(self.path, text, label)[0]]
        texts: dict[str, dict[str, str]] = {}
        for row in rows:
            texts.setdefault(row.label, {}).setdefault(text_key(row.text), row.text)
        if (repeated := len(rows) - sum(map(len, texts.values()))) > 0:
            warn_of_data(f"'{place}' repeats {number_of(repeated, 'text')} of the same class: each is taken once.")
        names = class_subsets(
            sorted(texts),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="TextTable",
            place=place,
        )
        self._sentences = {subset: {name: [*texts[name].values()] for name in names[subset]} for subset in SUBSETS}


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
def _read_all() -> dict[Subset, dict[str, list[str]]]:
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
    # A digest mixes sub-packages, in the same way on each machine.
    return [inside[name] for name in sorted(inside, key=lambda name: hashlib.sha256(name.encode()).digest())]


def _first_sentences(file: Path) -> Iterator[str]:
    """Of the docstrings of a file: its own, and those of its classes and functions, in their order."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of its escapes, which are another project's matter
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
