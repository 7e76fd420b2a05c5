"""Speech by a source and a filter: pulses of vocal folds and noise, through resonators whose formants move.

The vocal tract is a cascade of second-order resonators, and friction a resonator beside it, as in D. Klatt, "Software
for a cascade/parallel formant synthesizer", JASA 67 (1980). Pulses have the shape of Klatt and Klatt (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SYNTHESIS_RATE = 8000  # samples a second

Array = np.ndarray[Any, np.dtype[np.float64]]

_FRAME = 20  # samples for which the filters stand still: 2.5 ms
_STAGES = 6  # tilt of the pulses, four formants, friction
_HIGHEST = 3800.0  # Hz, of a formant
_GLIDING, _SWITCHING = 0.07, 0.0125  # seconds that formants and levels take to change


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


@dataclass(frozen=True)
class Voice:
    """What is a speaker's own."""

    pitch: float  # Hz, on average
    tract: float  # factor of formants: more than 1 where the vocal tract is short
    breath: float  # level of the noise in voiced sounds
    tilt: float  # Hz, above which the pulses have less energy
    open_share: float  # of a period, in which the vocal folds are open
    jitter: float  # standard deviation of a period's length, as a share of it
    rate: float  # what durations are divided by
    accent: dict[str, Array]  # factor of the formants of each segment, by the spelling of its phone
    colour: float  # slope of the microphone's and the mouth's spectrum, in dB from 0 to 4 kHz


def draw_voice(generator: np.random.Generator) -> Voice:
    """A speaker: deep voices tend to have long vocal tracts."""
    size = generator.normal()
    return Voice(
        pitch=float(np.clip(155 * np.exp(0.28 * size + 0.12 * generator.normal()), 75, 320)),
        tract=float(np.clip(np.exp(0.08 * size + 0.03 * generator.normal()), 0.82, 1.22)),
        breath=float(np.exp(generator.normal(-2.5, 0.7))),
        tilt=float(generator.uniform(900, 2600)),
        open_share=float(generator.uniform(0.45, 0.75)),
        jitter=float(generator.uniform(0.003, 0.02)),
        rate=float(np.exp(generator.normal(0, 0.1))),
        accent={name: np.exp(generator.normal(0, 0.1, 3)) for name in PHONES},
        colour=float(generator.normal(0, 5)),
    )


class Utterance(NamedTuple):
    """What is to be spoken, and by whom."""

    phones: Sequence[str]  # their spellings
    voice: Voice
    generator: np.random.Generator  # of melody, tempo, noise, room and loudness
    shortest: float  # seconds that speech lasts at least: it is slowed down
    longest: float  # seconds that speech lasts at most: it is sped up


def synthesise(utterances: Sequence[Utterance]) -> list[Array]:
    """Sound of each in [-1, 1] at ``SYNTHESIS_RATE``, the same bit for bit, whichever others are spoken with it."""
    drafts = [_draft(*utterance) for utterance in utterances]
    spoken = _filter([draft[0] for draft in drafts], [draft[1] for draft in drafts])
    return [
        _record(sound[: len(draft[0])], utterance.voice, utterance.generator)
        for sound, draft, utterance in zip(spoken, drafts, utterances, strict=True)
    ]


def _draft(
    phones: Sequence[str], voice: Voice, generator: np.random.Generator, shortest: float, longest: float
) -> tuple[Array, Array]:
    """What drives the filters, ``(samples, 3)``, and their coefficients, ``(frames, 3, stages)``."""
    segments = [(name, segment) for name in phones for segment in PHONES[name]]
    seconds = np.array([segment.seconds for _, segment in segments]) * np.exp(generator.normal(0, 0.28, len(segments)))
    seconds /= voice.rate * np.exp(generator.normal(0, 0.15))
    seconds *= np.clip(seconds.sum(), shortest, longest) / seconds.sum()
    lengths = np.diff(np.round(np.cumsum(seconds) * SYNTHESIS_RATE / _FRAME).astype(int), prepend=0)
    switching = _window(_SWITCHING)
    tracks = _smooth(np.repeat(_targets(segments, voice, generator), lengths, axis=0), _window(_GLIDING))
    levels = np.array([(s.voicing, s.aspiration, s.frication) for _, s in segments])
    levels *= np.exp(generator.normal(0, 0.3, levels.shape))
    levels = _smooth(np.repeat(levels, lengths, axis=0), switching)
    noises = np.repeat(np.array([s.noise for _, s in segments]), lengths, axis=0)
    widening = _smooth(np.repeat(np.array([[s.widening] for _, s in segments]), lengths, axis=0), switching)
    return _drive(levels, voice, generator), _coefficients(tracks, widening, noises, voice)


def _targets(segments: Sequence[tuple[str, Segment]], voice: Voice, generator: np.random.Generator) -> Array:
    """The four formants that each segment aims at, as this speaker says it this time, ``(segments, 4)``."""
    formants = np.empty((len(segments), 4))
    following = np.array([500.0, 1500.0, 2500.0])
    for i in range(len(segments) - 1, -1, -1):
        name, segment = segments[i]
        if segment.formants is not None:
            following = np.array(segment.formants) * voice.accent.get(name, 1.0)
        formants[i, :3] = following
        formants[i, 3] = 3500
    neutral = np.array([500.0, 1500.0, 2500.0, 3500.0])
    formants = neutral + (formants - neutral) * generator.uniform(0.5, 1.0)  # careless speech is less distinct
    formants *= voice.tract * np.exp(generator.normal(0, 0.06, formants.shape))
    return np.clip(formants, 150, _HIGHEST)


def _window(seconds: float) -> Array:
    """A Hann window with a sum of 1, over an odd number of frames."""
    window = np.hanning(2 * round(seconds * SYNTHESIS_RATE / _FRAME / 2) + 3)[1:-1]
    return window / window.sum()


def _smooth(tracks: Array, window: Array) -> Array:
    """Running means over frames, ``(frames, tracks)``."""
    half = len(window) // 2
    padded = np.pad(tracks, ((half, half), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, len(window), axis=0) @ window


def _drive(levels: Array, voice: Voice, generator: np.random.Generator) -> Array:
    """Pulses of the vocal folds, aspiration and friction, ``(samples, 3)``."""
    samples = _FRAME * len(levels)
    places = np.arange(samples) / _FRAME - 0.5
    voicing, aspiration, frication = (np.interp(places, range(len(levels)), level) for level in levels.T)
    melody = np.cumsum(generator.normal(0, 0.07, 5)) - np.linspace(0, generator.uniform(0, 0.3), 5)
    pitch = voice.pitch * np.exp(
        generator.normal(0, 0.08) + np.interp(np.linspace(0, 4, samples), np.arange(5), melody)
    )
    periods = np.cumsum(pitch) / SYNTHESIS_RATE
    whole = periods.astype(int)
    shaken = generator.normal(0, 1, (2, int(whole[-1]) + 1))
    periods = np.cumsum(pitch * (1 + voice.jitter * shaken[0, whole])) / SYNTHESIS_RATE
    open_part = (periods % 1) / voice.open_share
    pulses = np.where(open_part < 1, 2 * open_part - 3 * open_part**2, 0) * (1 + 2 * voice.jitter * shaken[1, whole])
    breath, hiss = generator.normal(0, 1, (2, samples + 2))
    blown = voicing * voice.breath * (open_part < 1) + aspiration
    hiss = hiss[2:] - hiss[:-2]  # zeros at 0 and 4 kHz
    return np.stack([pulses * voicing, 0.3 * breath[2:] * blown, hiss * frication], axis=1)


def _coefficients(formants: Array, widening: Array, noises: Array, voice: Voice) -> Array:
    """Of each resonator, y(t) = a x(t) + b y(t - 1) + c y(t - 2), as ``(frames, 3, stages)``."""
    low = np.zeros(len(formants))
    friction = np.minimum(noises[:, 0] * voice.tract**0.5, _HIGHEST)
    centres = np.column_stack([low, formants, friction])
    widths = np.column_stack([low + voice.tilt, (50 + 0.035 * formants) * widening, noises[:, 1]])
    radius = np.exp(-np.pi * widths / SYNTHESIS_RATE)
    b = 2 * radius * np.cos(2 * np.pi * centres / SYNTHESIS_RATE)
    c = -(radius**2)
    a = 1 - b - c  # a gain of 1 at 0 Hz
    a[:, 5] = (1 + c[:, 5]) / 2  # of 1 at the centre
    return np.stack([a, b, c], axis=1)


def _filter(drives: Sequence[Array], coefficients: Sequence[Array]) -> list[Array]:
    """Run all utterances through their resonators at once, one sample after the other."""
    # Only sums and products of one utterance are computed, so that none depends on the others. A resonator gets what
    # the one before gave one sample ago, so that all work at once.
    frames = max(map(len, coefficients), default=0)
    number = len(drives)
    drive = np.zeros((frames * _FRAME, 3, number))
    filters = np.zeros((frames, 3, _STAGES, number))
    for i, (own, coefficient) in enumerate(zip(drives, coefficients, strict=True)):
        drive[: len(own), :, i] = own
        filters[: len(coefficient), :, :, i] = coefficient
    sound = np.empty((frames * _FRAME, number))
    given, last, before, scratch = np.zeros((4, _STAGES, number))
    for time, (pulse, aspiration, friction) in enumerate(drive):
        a, b, c = filters[time // _FRAME]
        given[0] = pulse
        np.copyto(given[1:5], last[0:4])
        given[1] += aspiration
        given[5] = friction
        given *= a
        np.multiply(last, b, out=scratch)
        given += scratch
        before *= c
        given += before
        given, last, before = before, given, last
        np.add(last[4], last[5], out=sound[time])
    return list(sound.T)


def _record(speech: Array, voice: Voice, generator: np.random.Generator) -> Array:
    """Put silence around speech, an echoing room, a microphone and noise; draw the loudness."""
    before, after = (generator.uniform(0.01, 0.04, 2) * SYNTHESIS_RATE).astype(int)
    padded = np.concatenate([np.zeros(before), speech, np.zeros(after)])
    echo = generator.normal(0, 1, int(0.2 * SYNTHESIS_RATE))
    # Of 0.05 to 0.4 s, in which the echo falls by 60 dB: to a thousandth of its amplitude.
    decay = 3 * np.log(10) / (SYNTHESIS_RATE * np.exp(generator.uniform(np.log(0.05), np.log(0.4))))
    echo *= np.exp(-decay * np.arange(len(echo)))
    echo *= 10 ** (-generator.uniform(3, 20) / 20) / np.sqrt(np.square(echo).sum())
    echo[0] += 1  # the sound itself
    size = 1 << (len(padded) + len(echo) - 1).bit_length()
    colour = 10 ** (np.linspace(0, voice.colour, size // 2 + 1) / 20)
    heard = np.fft.irfft(np.fft.rfft(padded, size) * np.fft.rfft(echo, size) * colour, size)[: len(padded)]
    hiss = np.fft.rfft(generator.normal(0, 1, len(heard)))
    hiss *= np.arange(1, len(hiss) + 1) ** -generator.uniform(0, 1)  # white to brown
    noise = np.fft.irfft(hiss, len(heard))
    noise *= np.sqrt(np.square(heard).mean() / np.square(noise).mean()) * 10 ** (-generator.uniform(-1, 28) / 20)  # dB
    heard = heard + noise
    return heard * (10 ** (-generator.uniform(1, 25) / 20) / np.abs(heard).max())
