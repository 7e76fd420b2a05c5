"""The embedded source of speech: made-up words, spoken by made-up speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.synthesis import (
    CONSONANTS,
    SYNTHESIS_RATE,
    VOWELS,
    Voice,
    draw_voice,
    speak,
)
from lit_metanas.kinds.source_bases import BLOCK_SIZE, BlockKey, ComputedSource
from lit_metanas.tasks.source import SUBSETS, Subset

SPEAKERS, HELD_OUT_SPEAKERS = 60, 30  # of the ordinary examples, and others of the held-out ones
MOST_WORDS = 100_000  # of all subsets; there are some millions
SHORTEST_WORD, LONGEST_WORD = 0.3, 0.8  # seconds

_VERSION = 3  # raise whenever the same arguments give other sound
_VOICE, _WORD = 2, 3  # begin the keys of generators, so that none shares its stream with another
_LAST = tuple(name for name in CONSONANTS if name not in ("h", "w", "j"))  # what a syllable may end in
_STOPS = ("p", "b", "t", "d", "k", "g")


def make_words(number: int, seed: int) -> list[tuple[str, ...]]:
    """The phones of made-up words of two or three syllables, which differ in two phones at least."""
    # The first words of a longer list are the same. No two words have the same spelling.
    generator = np.random.default_rng((seed, 1))
    words: list[tuple[str, ...]] = []
    near: set[tuple[str, ...]] = set()
    spellings: set[str] = set()
    while len(words) < number:
        word = _draw_word(generator)
        # Two words that differ in one phone become one when it is left out of both, or of the longer.
        shorter = {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}
        if near.isdisjoint(shorter) and "".join(word) not in spellings:
            near |= shorter
            spellings.add("".join(word))
            words.append(word)
    return words


def _draw_word(generator: np.random.Generator) -> tuple[str, ...]:
    """Two syllables, which may end in a consonant, or three that do not."""
    vowels, consonants = list(VOWELS), list(CONSONANTS)
    long = generator.random() < 0.3
    word: list[str] = []
    for _ in range(3 if long else 2):
        if word or generator.random() < 0.85:
            word.append(consonants[generator.integers(len(consonants))])
            if word[-1] in _STOPS and generator.random() < 0.15:
                word.append(("r", "l")[generator.integers(2)])
        word.append(vowels[generator.integers(len(vowels))])
        if not long and generator.random() < 0.35:
            word.append(_LAST[generator.integers(len(_LAST))])
    return tuple(word)


class SpokenWords(ComputedSource):
    """Words of two or three syllables in no language, spoken by 90 speakers, 8 kHz, as log-mel spectra.

    Speech is computed from formants, so nothing is downloaded. An example is a function of the word, its number and the
    seed, which choose speaker, tempo, melody, noise and loudness. Words are divided into subsets. Test parts of
    target tasks are spoken by 30 speakers that say nothing else. The examples that episodes use are computed once and
    cached in a file; more of them, which only target tasks need, are computed when asked for and kept in memory.

    Args:
        seed: of words, speakers and examples, at least 0.
        cache: folder of the cached spectra; by default ``$LIT_METANAS_CACHE``, else ``lit_metanas`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.
        words: how many words the three subsets have.
        pool: examples a word from which episodes are drawn, 1 to 200. A word has 200 ordinary examples, and 100 by
            held-out speakers for the test part of target tasks.
        features: how sound becomes a series; None takes ``LogMel()``.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> source = lm.kinds.SpokenWords()
        >>> source.shape, source.classes("test")[:3]
        (SeriesShape(features=41, steps=100), ('atautry', 'lazoza', 'woengaiti'))
        >>> (sound,) = source.sounds("test", 0, [0])
        >>> source.preprocessing.show(source.inputs("test", 0, [0], held_out=True))
        ['0.56 s of sound']
    """

    dtype = torch.float16

    def __init__(
        self,
        seed: int = 0,
        cache: str | None = None,
        words: tuple[int, int, int] = (240, 60, 100),
        pool: int = 20,
        features: LogMel | None = None,
    ) -> None:
        if len(words) != 3 or min(words) < 0 or sum(words) > MOST_WORDS:
            raise ValueError(
                f"SpokenWords: words = {tuple(words)} must be three numbers of at least 0, {MOST_WORDS} in all."
            )
        super().__init__(seed, cache, pool)
        self.words = (words[0], words[1], words[2])
        self.features = features or LogMel()

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    @property
    def preprocessing(self) -> LogMel:
        """What makes series of sound."""
        return self.features

    @property
    def cache_file(self) -> Path:
        """The file of the cached spectra; its name tells all that they depend on."""
        # A version of numpy may draw other numbers.
        told = repr((np.__version__, self.seed, self.words, self.pool, self.features))
        return self.cache / f"spoken-words-v{_VERSION}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the spellings of the subset's words."""
        return self._names[subset]

    def sounds(
        self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False
    ) -> list[Tensor]:
        """Speak the examples that ``inputs`` gives the spectra of: in [-1, 1], float32, at ``SYNTHESIS_RATE``."""
        word = self._place(subset, class_index)
        return [self._spoken(word, held_out, instance) for instance in instances]

    @cached_property
    def _words(self) -> list[tuple[str, ...]]:
        return make_words(sum(self.words), self.seed)

    @cached_property
    def _names(self) -> dict[Subset, tuple[str, ...]]:
        names, ends = ["".join(word) for word in self._words], np.cumsum((0, *self.words)).tolist()
        return {subset: tuple(names[ends[i] : ends[i + 1]]) for i, subset in enumerate(SUBSETS)}

    @cached_property
    def _voices(self) -> list[Voice]:
        return [draw_voice(self._generator(_VOICE, i)) for i in range(SPEAKERS + HELD_OUT_SPEAKERS)]

    def _place(self, subset: Subset, class_index: int) -> int:
        return sum(self.words[: SUBSETS.index(subset)]) + range(len(self._names[subset]))[class_index]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *map(int, key)))

    def _spoken(self, word: int, held_out: bool, instance: int) -> Tensor:
        generator = self._generator(_WORD, word, held_out, instance)
        first, number = (SPEAKERS, HELD_OUT_SPEAKERS) if held_out else (0, SPEAKERS)
        voice = self._voices[first + int(generator.random() * number)]
        return torch.from_numpy(speak(self._words[word], voice, generator, SHORTEST_WORD, LONGEST_WORD)).float()

    def _computed(self, block: BlockKey) -> Tensor:
        word, held_out, at = block
        sounds = [self._spoken(word, held_out, BLOCK_SIZE * at + own) for own in range(BLOCK_SIZE)]
        return self.features.encode([(sound, SYNTHESIS_RATE) for sound in sounds]).half()
