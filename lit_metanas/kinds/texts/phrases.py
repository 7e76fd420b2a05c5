"""Phrases of many languages, to be told by their language."""

from __future__ import annotations

import hashlib
from typing import Any

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.phrase_languages import languages, phrases_of, script_of
from lit_metanas.kinds.texts.text_source import CachedTexts, Subsets, without_shared
from lit_metanas.tasks.source import SUBSETS, Subset

MADE, KEPT = 96, 60  # phrases that are made for each language, and those at least that no other language has


class Phrases(CachedTexts):
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
        >>> phrases = lm.Phrases()
        >>> episode = lm.draw_episode(phrases, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(phrases.classes("train")) >= 50
        (64, True)
    """

    version = 1

    def __init__(self, cache: str | None = None, preprocessing: TextPreprocessing | None = None) -> None:
        super().__init__(cache, preprocessing or BytePairs(steps=64))
        self._babel = import_extra("babel", "text", "Phrases").__version__

    def made_of(self) -> tuple[Any, ...]:
        """The version of the package, and the numbers of phrases."""
        return self._babel, MADE, KEPT

    def make(self) -> Subsets:
        """The phrases that no other language has, of languages that keep enough of them."""
        made = {language: phrases_of(language, MADE) for language in languages()}
        subsets: Subsets = {"train": {}, "val": {}, "test": {}}
        for language, phrases in without_shared(made, KEPT).items():
            subsets[_subset_of(language)][language] = phrases
        return subsets

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each language, such as ``Latn``."""
        return tuple(script_of(language) for language in self.classes(subset))


def _subset_of(language: str) -> Subset:
    """Of a hundred languages about 64, 16 and 20; what one has does not depend on which others there are."""
    share = int(hashlib.sha256(language.encode()).hexdigest(), 16) % 100
    return SUBSETS[(share >= 64) + (share >= 80)]
