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
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.files import cache_folder, replacing
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.phones import make_words
from lit_metanas.kinds.sounds.synthesis import SYNTHESIS_RATE, Utterance, Voice, draw_voice, synthesise
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource

SPEAKERS, HELD_OUT_SPEAKERS = 60, 30
"""How many say the ordinary examples, and how many others the held-out ones."""

MOST_WORDS = 100_000
"""Of all subsets; there are some millions."""

SHORTEST_WORD, LONGEST_WORD = 0.3, 0.8
"""Seconds."""

_VERSION = 1  # raise whenever the same arguments give other sound
_BLOCK = 20  # examples of a word that are spoken together
_TOGETHER = 128  # that are spoken together for the cache, which the processor's caches hold
_VOICE, _WORD = 2, 3  # begin the keys of generators, so that none shares its stream with another


class SpokenWords(TaskSource):
    """Words of two or three syllables in no language, spoken by 90 speakers, 8 kHz, as log-mel spectra.

    Speech is computed from formants, so nothing is downloaded. An example is a function of the word, its number and the
    seed, which choose speaker, tempo, melody, room, noise and loudness. Words are divided into subsets. Test parts of
    target tasks are spoken by 30 speakers that say nothing else. The examples that episodes use are computed once and
    cached in a file; more of them, which only target tasks need, are computed when asked for and kept in memory.

    Args:
        seed: of words, speakers and examples, at least 0.
        cache: folder of the cached spectra; by default ``$LIT_METANAS_CACHE``, else ``lit_metanas`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.
        words: how many words the three subsets have.
        pool: examples a word from which episodes are drawn, at least 1.
        ordinary: examples a word for the train and validation parts of target tasks, at least ``pool``.
        held_out: examples a word, by held-out speakers, for the test part of target tasks.
        features: how sound becomes a series; None takes ``LogMel()``.

    Raises:
        ValueError: ``pool`` is below 1 or above ``ordinary``, or another number is negative.

    Example:
        >>> source = lm.kinds.SpokenWords()
        >>> source.shape, source.classes("test")[:3]
        (SeriesShape(features=41, steps=100), ('atautry', 'lazoza', 'woengaiti'))
        >>> (sound,) = source.sounds("test", 0, [0])
        >>> source.preprocessing.show(source.inputs("test", 0, [0], held_out=True))
        ['0.79 s of sound']
    """

    def __init__(
        self,
        seed: int = 0,
        cache: str | None = None,
        words: tuple[int, int, int] = (240, 60, 100),
        pool: int = 20,
        ordinary: int = 200,
        held_out: int = 100,
        features: LogMel | None = None,
    ) -> None:
        if not 1 <= pool <= ordinary:
            raise ValueError(f"SpokenWords: pool = {pool} must lie between 1 and ordinary = {ordinary}.")
        for name, value in (("seed", seed), ("held_out", held_out)):
            if value < 0:
                raise ValueError(f"SpokenWords: {name} = {value} must be at least 0.")
        if len(words) != 3 or min(words) < 0 or sum(words) > MOST_WORDS:
            raise ValueError(
                f"SpokenWords: words = {tuple(words)} must be three numbers of at least 0, {MOST_WORDS} in all."
            )
        self.seed = seed
        self.cache = Path(cache) if cache else cache_folder()
        self.words = (words[0], words[1], words[2])
        self.pool = pool
        self.ordinary = ordinary
        self.held_out = held_out
        self.features = features or LogMel()
        self._pools: tuple[Tensor, list[int]] | None = None
        self._blocks: dict[tuple[int, bool, int], list[Tensor]] = {}

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
        told = repr((np.__version__, self.seed, self.words, self.pool, self.features))
        return self.cache / f"spoken-words-v{_VERSION}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"

    def prepare(self) -> None:
        """Speak the examples that episodes use, unless the cache file has them."""
        if self._read() is not None:
            return
        keys = [(word, False, instance) for word in range(len(self._words)) for instance in range(self.pool)]
        parts = [self._series(self._speak(keys[i : i + _TOGETHER])) for i in range(0, len(keys), _TOGETHER)]
        series = [each for part in parts for each in part]
        with replacing(self.cache_file) as temporary, temporary.open("wb") as stream:
            steps = np.array([each.shape[1] for each in series], dtype=np.int32)
            np.savez(stream, series=torch.cat(series, 1).numpy(), steps=steps)

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the spellings of the subset's words."""
        return self._names[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of ordinary or held-out examples of a word: the same for all."""
        return self.held_out if held_out else self.ordinary

    def episode_instances(self, subset: Subset, class_index: int) -> int:
        """Return the number of cached examples of a word: the same for all."""
        return self.pool

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return examples of one word, from the cache or spoken now, float32, shape ``(n, features, steps)``."""
        word = self._word(subset, class_index)
        if not held_out and max(instances, default=0) < self.pool:
            series, ends = self._cached_pools()
            rows = [word * self.pool + i for i in instances]
            return self._padded([series[:, ends[row] : ends[row + 1]] for row in rows])
        for block in {i // _BLOCK for i in instances}:
            if (word, held_out, block) not in self._blocks:
                keys = [(word, held_out, block * _BLOCK + i) for i in range(_BLOCK)]
                self._blocks[word, held_out, block] = self._series(self._speak(keys))
        return self._padded([self._blocks[word, held_out, i // _BLOCK][i % _BLOCK] for i in instances])

    def sounds(
        self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False
    ) -> list[Tensor]:
        """Speak the examples that ``inputs`` gives the spectra of: in [-1, 1], float32, at ``SYNTHESIS_RATE``."""
        word = self._word(subset, class_index)
        return self._speak([(word, held_out, instance) for instance in instances])

    def speakers(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> list[int]:
        """Return who speaks examples of one word; held-out speakers have numbers from ``SPEAKERS`` on."""
        word = self._word(subset, class_index)
        return [self._speaker(self._generator(_WORD, word, held_out, i), held_out) for i in instances]

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

    def _word(self, subset: Subset, class_index: int) -> int:
        """Which of all words is a subset's class."""
        return sum(self.words[: SUBSETS.index(subset)]) + range(len(self._names[subset]))[class_index]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *map(int, key)))

    @staticmethod
    def _speaker(generator: np.random.Generator, held_out: bool) -> int:
        drawn = generator.random()
        if held_out:
            return SPEAKERS + int(drawn * HELD_OUT_SPEAKERS)
        return int(drawn * SPEAKERS)

    def _speak(self, keys: Sequence[tuple[int, bool, int]]) -> list[Tensor]:
        """Speak examples: for each its word, whether its speaker is held out, and its number."""
        utterances = []
        for word, held_out, instance in keys:
            generator = self._generator(_WORD, word, held_out, instance)
            voice = self._voices[self._speaker(generator, held_out)]
            utterances.append(Utterance(self._words[word], voice, generator, SHORTEST_WORD, LONGEST_WORD))
        return [torch.from_numpy(sound).float() for sound in synthesise(utterances)]

    def _series(self, sounds: Sequence[Tensor]) -> list[Tensor]:
        """Spectra in half precision, as the cache has them, each of shape ``(bins, steps)``."""
        return [self.features.series(self.features.waveform((sound, SYNTHESIS_RATE))).half() for sound in sounds]

    def _padded(self, series: Sequence[Tensor]) -> Tensor:
        inputs = torch.zeros(len(series), *self.shape)
        for row, each in zip(inputs, series, strict=True):
            row[:-1, : each.shape[1]] = each
            row[-1, : each.shape[1]] = 1
        return inputs

    def _cached_pools(self) -> tuple[Tensor, list[int]]:
        """Load the cache file once; speak first where it is missing or damaged."""
        if self._pools is None:
            found = self._read()
            if found is None:
                self.prepare()
                found = self._read()
            assert found is not None
            self._pools = found
        return self._pools

    def _read(self) -> tuple[Tensor, list[int]] | None:
        """Read the cached spectra side by side, and where each begins; None if the file is absent or another's."""
        examples = len(self._words) * self.pool
        most = 2 * examples * self.features.bins * self.features.steps + 4 * examples + (1 << 20)
        try:
            arrays = read_npz(self.cache_file, "it is made again", largest=most)
            series, steps = arrays["series"], arrays["steps"]
        except (ValueError, KeyError):
            return None
        ends = np.concatenate([[0], np.cumsum(steps)]).tolist()
        fits = steps.shape == (examples,) and steps.dtype == np.int32 and (examples == 0 or steps.min() > 0)
        if not fits or series.dtype != np.float16 or series.shape != (self.features.bins, ends[-1]):
            return None
        return torch.from_numpy(series), ends
