"""The embedded source of sentences: what the documentation of installed code says, by module."""

from __future__ import annotations

import gc
import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.files import cache_folder
from lit_metanas.io.packages import installed_version
from lit_metanas.kinds.texts.docstring_sentences import PROJECTS, sentences_of
from lit_metanas.kinds.texts.text_source import Sentences, Subsets, TextSource, cached_sentences, without_shared
from lit_metanas.tasks.source import SUBSETS, Subset

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

MOST, LEAST = 100, 25
"""Sentences of a class."""

_VERSION = 1  # raise whenever the same packages give other sentences


class Docstrings(TextSource):
    """First sentences of docstrings: about 5,000 in some 70 classes, each a module of Python or of a dependency.

    Names of code are masked: dotted ones, those with underscores, digits or inner capitals, what is quoted, and those
    of the module and of the packages, so that no sentence tells its label. A sentence that stands in several classes is
    left out. The sources are parsed and not imported. What they say depends on the versions that are installed, so
    results of different environments are not comparable to the last digit; a module that is absent, or has fewer than
    25 such sentences, is no class. The sentences are kept in a cached file, whose name tells the versions.

    Args:
        cache: folder of the cached sentences; by default ``$LIT_METANAS_CACHE``, else ``lit_metanas`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.
        preprocessing: what makes inputs of sentences; None takes ``Words()``. One without a vocabulary gets that of the
            meta-train classes.

    Raises:
        ValueError: Python is installed without its sources.

    Example:
        >>> import lit_metanas as lm
        >>> source = lm.Docstrings()
        >>> episode = lm.draw_episode(source, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(source.classes("test")) >= 10
        (32, True)
    """

    def __init__(self, cache: str | None = None, preprocessing: TextPreprocessing | None = None) -> None:
        super().__init__(preprocessing)
        self.cache = Path(cache) if cache else cache_folder()

    @property
    def cache_file(self) -> Path:
        """The file of the cached sentences; its name tells all that they depend on."""
        versions = [(name, installed_version(name)) for name in sorted(set(PROJECTS.values()))]
        digest = hashlib.sha256(repr((platform.python_version(), versions, MODULES, MOST, LEAST)).encode())
        return self.cache / f"docstrings-v{_VERSION}-{digest.hexdigest()[:16]}.json"

    def prepare(self) -> None:
        """Read the sources, unless the cache file has the sentences."""
        _ = self._sentences

    def sentences(self, subset: Subset) -> Sentences:
        """The sentences of each class of a subset."""
        return self._sentences[subset]

    @cached_property
    def _sentences(self) -> Subsets:
        return cached_sentences(self.cache_file, _make)

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the package of each class; all modules of Python's own library are one group."""
        packages = (name.partition(".")[0] for name in self.classes(subset))
        return tuple(package if package in PROJECTS else "Python" for package in packages)


def _make() -> Subsets:
    """Read the sentences of all classes.

    Raises:
        ValueError: a subset has fewer than two.
    """
    others = frozenset(name for names in MODULES.values() for name in names)
    with _without_collection():
        found = {name: sentences_of(name, others - {name}, MOST) for names in MODULES.values() for name in names}
    kept = without_shared(found, LEAST)
    subsets = {subset: {name: kept[name] for name in MODULES[subset] if name in kept} for subset in SUBSETS}
    if min(map(len, subsets.values())) < 2:
        raise ValueError(
            "Docstrings found no sources of Python's own library and of the packages that this one depends on: use a "
            "Python that is installed with them, or another source, such as TextTable."
        )
    return subsets


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for cycles of garbage, of which syntax trees have none; it would take as long as the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
