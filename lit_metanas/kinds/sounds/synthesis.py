"""Speech by a source and a filter: a tone of the vocal folds and noise, through resonances that move (Fant 1960)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SYNTHESIS_RATE = 8000  # samples a second

Array = np.ndarray[Any, np.dtype[np.float64]]

_HOP = 80  # samples from one frame to the next: 10 ms
_SHARPNESS = 8.0  # of a resonance: its frequency as a multiple of its width
_HISS = 700.0  # Hz, the width of friction


class Segment(NamedTuple):
    """A stretch of a phone in which the vocal tract has one aim. Levels are amplitudes; 1 is that of a vowel."""

    seconds: float  # in ordinary speech
    formants: tuple[float, float, float]  # Hz, of an average speaker
    voicing: float = 0.0  # level of the vocal folds
    friction: float = 0.0  # level of the noise at a narrow place of the tract
    centre: float = 2000.0  # Hz, of that noise


Phone = tuple[Segment, ...]  # one of a vowel; closure and burst of a stop

# Where the formants point to when the tract is closed there.
_LABIAL, _ALVEOLAR, _PALATAL, _VELAR = (
    (300.0, 900.0, 2200.0),
    (300.0, 1750.0, 2650.0),
    (300.0, 2050.0, 2600.0),
    (300.0, 1600.0, 2050.0),
)


def _vowel(f1: float, f2: float, f3: float) -> Phone:
    return (Segment(0.12, (f1, f2, f3), voicing=1.0),)


def _diphthong(second: tuple[float, float, float]) -> Phone:
    return Segment(0.09, (740.0, 1200.0, 2500.0), voicing=1.0), Segment(0.07, second, voicing=0.8)


def _glide(f1: float, f2: float, f3: float) -> Phone:
    return (Segment(0.07, (f1, f2, f3), voicing=0.6),)


def _nasal(locus: tuple[float, float, float]) -> Phone:
    return (Segment(0.08, (260.0, *locus[1:]), voicing=0.3),)


def _fricative(locus: tuple[float, float, float], friction: float, centre: float, voicing: float = 0.0) -> Phone:
    return (Segment(0.1, locus, voicing, friction, centre),)


def _stop(locus: tuple[float, float, float], centre: float, voicing: float) -> Phone:
    return Segment(0.055, (220.0, *locus[1:]), voicing), Segment(0.02, locus, 0.0, 0.8, centre)


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
    "ai": _diphthong((320.0, 2150.0, 2800.0)),
    "au": _diphthong((350.0, 850.0, 2300.0)),
}

# Stops, fricatives, nasals and glides, by their spelling; loci after Stevens (1998), below 4 kHz.
CONSONANTS: dict[str, Phone] = {
    "p": _stop(_LABIAL, 900, voicing=0.0),
    "b": _stop(_LABIAL, 900, voicing=0.15),
    "t": _stop(_ALVEOLAR, 3300, voicing=0.0),
    "d": _stop(_ALVEOLAR, 3100, voicing=0.15),
    "k": _stop(_VELAR, 1900, voicing=0.0),
    "g": _stop(_VELAR, 1800, voicing=0.15),
    "f": _fricative(_LABIAL, 0.2, 2200),
    "v": _fricative(_LABIAL, 0.1, 2200, voicing=0.35),
    "s": _fricative(_ALVEOLAR, 0.8, 3600),
    "z": _fricative(_ALVEOLAR, 0.4, 3600, voicing=0.35),
    "sh": _fricative(_PALATAL, 0.8, 2500),
    "kh": _fricative(_VELAR, 0.6, 1500),
    "h": _fricative((500.0, 1500.0, 2500.0), 0.3, 1000),
    "m": _nasal(_LABIAL),
    "n": _nasal(_ALVEOLAR),
    "ng": _nasal(_VELAR),
    "l": _glide(360, 1150, 2700),
    "r": _glide(420, 1250, 1650),
    "w": _glide(300, 650, 2200),
    "j": _glide(270, 2250, 3000),
}

PHONES: dict[str, Phone] = VOWELS | CONSONANTS


class Voice(NamedTuple):
    """What is a speaker's own."""

    pitch: float  # Hz, on average
    tract: float  # factor of formants: more than 1 where the vocal tract is short
    breath: float  # level of the noise in voiced sounds
    colour: float  # slope of the microphone's and the mouth's spectrum, in dB from 0 to 4 kHz


def draw_voice(generator: np.random.Generator) -> Voice:
    """A speaker: deep voices tend to have long vocal tracts."""
    size = generator.normal()
    return Voice(
        pitch=float(np.clip(155 * np.exp(0.28 * size + 0.12 * generator.normal()), 75, 320)),
        tract=float(np.clip(np.exp(0.08 * size + 0.03 * generator.normal()), 0.82, 1.22)),
        breath=float(np.exp(generator.normal(-2.5, 0.7))),
        colour=float(generator.normal(0, 5)),
    )


def speak(
    phones: Sequence[str], voice: Voice, generator: np.random.Generator, shortest: float, longest: float
) -> Array:
    """Sound in [-1, 1] at ``SYNTHESIS_RATE``: speech that lasts from ``shortest`` to ``longest`` seconds, in silence.

    The ``generator`` draws its melody, tempo, noise and loudness.
    """
    segments = [segment for name in phones for segment in PHONES[name]]
    seconds = np.array([segment.seconds for segment in segments]) * np.exp(generator.normal(0, 0.28, len(segments)))
    seconds *= np.clip(seconds.sum(), shortest, longest) / seconds.sum()
    frames = np.diff(np.round(np.cumsum(seconds) * SYNTHESIS_RATE / _HOP).astype(int), prepend=0)
    aims = np.array([(*one.formants, one.voicing, one.friction, one.centre) for one in segments])
    aims[:, :3] *= voice.tract * np.exp(generator.normal(0, 0.08, (len(aims), 3)))
    aims[:, 3:5] *= np.exp(generator.normal(0, 0.3, (len(aims), 2)))
    tracks = _smooth(np.repeat(aims, frames, axis=0))
    voicing, friction, centre = tracks[:, 3:].T[..., None]
    hertz = np.fft.rfftfreq(2 * _HOP, 1 / SYNTHESIS_RATE)
    ratios = hertz / tracks[:, :3, None]
    # Each is the gain of a second-order low-pass filter.
    throat = voicing * np.prod(1 / np.hypot(1 - ratios**2, ratios / _SHARPNESS), axis=1)
    hiss = friction * np.exp(-(((hertz - centre) / _HISS) ** 2))
    tone = _tone(voice.pitch, _HOP * len(tracks), generator)
    noise = generator.normal(0, 1, len(tone))
    colour = 10 ** (voice.colour * hertz / hertz[-1] / 20)
    speech = _filtered(tone, throat * colour) + _filtered(noise, (voice.breath * throat + hiss) * colour)
    before, after = generator.uniform(0.01, 0.04, 2) * SYNTHESIS_RATE
    heard = np.pad(speech, (int(before), int(after)))
    level = np.sqrt(np.square(heard).mean()) * 10 ** (-generator.uniform(-1, 28) / 20)  # of what else is heard, dB
    heard += level * generator.normal(0, 1, len(heard))
    return heard * (10 ** (-generator.uniform(1, 25) / 20) / np.abs(heard).max())


def _tone(pitch: float, samples: int, generator: np.random.Generator) -> Array:
    """What the vocal folds give: a saw's teeth, at a pitch that moves."""
    melody = generator.normal(0, 0.08) + np.cumsum(generator.normal(0, 0.07, 5))
    periods = np.cumsum(pitch * np.exp(np.interp(np.linspace(0, 4, samples), np.arange(5), melody))) / SYNTHESIS_RATE
    return 1 - 2 * (periods % 1)


def _smooth(tracks: Array) -> Array:
    """Running means of five frames, shape ``(frames, tracks)``."""
    padded = np.pad(tracks, ((2, 2), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 5, axis=0).mean(-1)


def _filtered(sound: Array, gains: Array) -> Array:
    """Sound ``(frames * _HOP,)`` whose spectrum has other gains in each frame, ``(frames, frequencies)``."""
    # Windows overlap by half and sum to 1. The first and the last frame's gains hold beyond the ends, too.
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(sound, _HOP), 2 * _HOP)[::_HOP]
    weights = np.sin(np.pi * (np.arange(2 * _HOP) + 0.5) / (2 * _HOP)) ** 2
    parts = np.fft.irfft(np.fft.rfft(windows * weights) * np.pad(gains, ((0, 1), (0, 0)), mode="edge"))
    return (parts[:-1, _HOP:] + parts[1:, :_HOP]).ravel()
