"""Phones, and made-up words of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segment:
    """A stretch of a phone in which the vocal tract has one aim. Levels are amplitudes; 1 is that of a vowel."""

    seconds: float  # in ordinary speech
    formants: tuple[float, float, float] | None  # in Hz, of an average speaker; None takes those of what follows
    voicing: float = 0.0  # level of the vocal folds
    aspiration: float = 0.0  # level of the noise at the vocal folds
    frication: float = 0.0  # level of the noise at a narrow place of the tract
    noise: tuple[float, float] = (2000.0, 1000.0)  # centre and width of that noise's resonance, in Hz
    widening: float = 1.0  # factor of the formants' bandwidths


Phone = tuple[Segment, ...]  # one of a vowel; closure, burst and aspiration of a stop

# Where the formants point to when the tract is closed there.
_LABIAL, _ALVEOLAR, _PALATAL, _VELAR = (
    (300.0, 900.0, 2200.0),
    (300.0, 1750.0, 2650.0),
    (300.0, 2050.0, 2600.0),
    (300.0, 1600.0, 2050.0),
)


def _vowel(f1: float, f2: float, f3: float) -> Phone:
    return (Segment(0.12, (f1, f2, f3), voicing=1.0),)


def _glide(f1: float, f2: float, f3: float) -> Phone:
    return (Segment(0.07, (f1, f2, f3), voicing=0.6),)


def _nasal(locus: tuple[float, float, float]) -> Phone:
    return (Segment(0.08, (260.0, *locus[1:]), voicing=0.5, widening=2.5),)


def _fricative(
    locus: tuple[float, float, float], level: float, noise: tuple[float, float], voicing: float = 0.0
) -> Phone:
    return (Segment(0.08 if voicing else 0.1, locus, voicing=voicing, frication=level, noise=noise, widening=1.5),)


def _stop(locus: tuple[float, float, float], noise: tuple[float, float], voiced: bool) -> Phone:
    closure = Segment(0.055, (220.0, *locus[1:]), voicing=0.12 if voiced else 0.0, widening=2.0)
    burst = Segment(0.012, locus, frication=0.5 if voiced else 0.8, noise=noise)
    if voiced:
        return (closure, burst)
    return (closure, burst, Segment(0.03, None, aspiration=0.5))


# Vowels and diphthongs, by their spelling; formants after Peterson and Barney (1952).
VOWELS: dict[str, Phone] = {
    "i": _vowel(280, 2250, 2900),
    "e": _vowel(440, 1950, 2550),
    "ae": _vowel(680, 1700, 2450),
    "a": _vowel(740, 1200, 2500),
    "o": _vowel(470, 850, 2450),
    "u": _vowel(310, 800, 2300),
    "y": _vowel(290, 1850, 2200),
    "oe": _vowel(450, 1500, 2250),
    "ai": (Segment(0.09, (740.0, 1250.0, 2500.0), voicing=1.0), Segment(0.07, (320.0, 2150.0, 2800.0), voicing=0.8)),
    "au": (Segment(0.09, (740.0, 1200.0, 2500.0), voicing=1.0), Segment(0.07, (350.0, 850.0, 2300.0), voicing=0.8)),
}

# Stops, fricatives, nasals and glides, by their spelling; loci after Stevens (1998), below 4 kHz.
CONSONANTS: dict[str, Phone] = {
    "p": _stop(_LABIAL, (900, 1200), voiced=False),
    "b": _stop(_LABIAL, (900, 1200), voiced=True),
    "t": _stop(_ALVEOLAR, (3300, 900), voiced=False),
    "d": _stop(_ALVEOLAR, (3100, 900), voiced=True),
    "k": _stop(_VELAR, (1900, 500), voiced=False),
    "g": _stop(_VELAR, (1800, 500), voiced=True),
    "f": _fricative(_LABIAL, 0.12, (2200, 3000)),
    "v": _fricative(_LABIAL, 0.07, (2200, 3000), voicing=0.35),
    "s": _fricative(_ALVEOLAR, 0.5, (3600, 500)),
    "z": _fricative(_ALVEOLAR, 0.25, (3600, 500), voicing=0.35),
    "sh": _fricative(_PALATAL, 0.5, (2500, 600)),
    "kh": _fricative(_VELAR, 0.35, (1500, 400)),
    "h": (Segment(0.06, None, aspiration=0.5),),
    "m": _nasal(_LABIAL),
    "n": _nasal(_ALVEOLAR),
    "ng": _nasal(_VELAR),
    "l": _glide(360, 1150, 2700),
    "r": _glide(420, 1250, 1650),
    "w": _glide(300, 650, 2200),
    "j": _glide(270, 2250, 3000),
}

PHONES: dict[str, Phone] = VOWELS | CONSONANTS

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
