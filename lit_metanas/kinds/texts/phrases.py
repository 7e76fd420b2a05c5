"""Phrases of many languages, to be told by their language."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.files import cache_folder
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.phrase_languages import languages, phrases_of, script_of
from lit_metanas.kinds.texts.text_source import Sentences, Subsets, TextSource, cached_sentences, without_shared
from lit_metanas.tasks.source import Subset

MADE, KEPT = 96, 60
"""Phrases that are made for each language, and those at least that no other language has."""

_VERSION = 1  # raise whenever the same release of Babel gives other phrases


class Phrases(TextSource):
    """Dates, durations, measures, and lists of countries and languages, as more than 100 languages write them.

    The phrases are made from Unicode's Common Locale Data Repository, which the package ``babel`` holds; a class is a
    language, and each belongs to one subset only, by a digest of its code. A phrase that several languages share is
    left out. It needs ``pip install 'lit-metanas[text]'``. The phrases are kept in a cached file.

    Args:
        cache: folder of the cached phrases, as in ``Docstrings``.
        preprocessing: what makes inputs of phrases; None takes ``BytePairs(steps=64)``, since held-out languages have
            words of their own, and some put no spaces between them. One without a vocabulary gets that of the
            meta-train languages.

    Raises:
        ValueError: the package is not installed.

    Example:
        >>> import lit_metanas as lm
        >>> phrases = lm.kinds.Phrases()
        >>> episode = lm.tasks.draw_episode(phrases, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(phrases.classes("train")) >= 50
        (64, True)
    """

    def __init__(self, cache: str | None = None, preprocessing: TextPreprocessing | None = None) -> None:
        super().__init__(BytePairs(steps=64) if preprocessing is None else preprocessing)
        self._babel = import_extra("babel", "text", "Phrases").__version__
        self.cache = Path(cache) if cache else cache_folder()

    @property
    def cache_file(self) -> Path:
        """The file of the cached phrases; its name tells all that they depend on."""
        digest = hashlib.sha256(repr((self._babel, MADE, KEPT)).encode())
        return self.cache / f"phrases-v{_VERSION}-{digest.hexdigest()[:16]}.json"

    def prepare(self) -> None:
        """Make the phrases, unless the cache file has them."""
        _ = self._sentences

    def sentences(self, subset: Subset) -> Sentences:
        """The phrases of each language of a subset."""
        return self._sentences[subset]

    @cached_property
    def _sentences(self) -> Subsets:
        return cached_sentences(self.cache_file, _make)

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each language, such as ``Latn``."""
        return tuple(script_of(language) for language in self.classes(subset))


def _make() -> Subsets:
    kept = without_shared({language: phrases_of(language, MADE) for language in languages()}, KEPT)
    subsets: Subsets = {"train": {}, "val": {}, "test": {}}
    for language, phrases in kept.items():
        subsets[_subset_of(language)][language] = phrases
    return subsets


def _subset_of(language: str) -> Subset:
    """Of a hundred languages about 64, 16 and 20; what one has does not depend on which others there are."""
    share = int(hashlib.sha256(language.encode()).hexdigest(), 16) % 100
    return "train" if share < 64 else "val" if share < 80 else "test"
