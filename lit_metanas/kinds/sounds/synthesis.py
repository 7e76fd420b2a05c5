"""Speech by a source and a filter: pulses of vocal folds and noise, through resonators whose formants move.

The vocal tract is a cascade of second-order resonators, and friction a resonator beside it, as in D. Klatt, "Software
for a cascade/parallel formant synthesizer", JASA 67 (1980). Pulses have the shape of Klatt and Klatt (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lit_metanas.kinds.sounds.phones import PHONES, Segment

SYNTHESIS_RATE = 8000  # samples a second

Array = np.ndarray[Any, np.dtype[np.float64]]

_FRAME = 20  # samples for which the filters stand still: 2.5 ms
_STAGES = 6  # tilt of the pulses, four formants, friction
_HIGHEST = 3800.0  # Hz, of a formant
_GLIDING, _SWITCHING = 0.07, 0.0125  # seconds that formants and levels take to change


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
    ends = np.round(np.cumsum(seconds) * SYNTHESIS_RATE / _FRAME).astype(int)
    lengths = np.diff(ends, prepend=0)
    formants = _targets(segments, voice, generator)
    gliding, switching = (_window(each) for each in (_GLIDING, _SWITCHING))
    tracks = _smooth(np.repeat(formants, lengths, axis=0), gliding)
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
    half = round(seconds * SYNTHESIS_RATE / _FRAME / 2)
    window = np.hanning(2 * half + 3)[1:-1]
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
    knots = np.arange(len(levels))
    voicing, aspiration, frication = (np.interp(places, knots, level) for level in levels.T)
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
    frames = len(formants)
    centres, widths = np.empty((frames, _STAGES)), np.empty((frames, _STAGES))
    centres[:, 0], widths[:, 0] = 0, voice.tilt
    centres[:, 1:5] = formants
    widths[:, 1:5] = (50 + 0.035 * formants) * widening
    centres[:, 5] = np.minimum(noises[:, 0] * voice.tract**0.5, _HIGHEST)
    widths[:, 5] = noises[:, 1]
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
    decay = 3 * np.log(10) / (SYNTHESIS_RATE * np.exp(generator.uniform(np.log(0.05), np.log(0.4))))
    echo *= np.exp(-decay * np.arange(len(echo)))
    echo *= 10 ** (-generator.uniform(3, 20) / 20) / np.sqrt(np.square(echo).sum())
    echo[0] += 1
    size = 1 << (len(padded) + len(echo) - 1).bit_length()
    colour = 10 ** (np.linspace(0, voice.colour, size // 2 + 1) / 20)
    heard = np.fft.irfft(np.fft.rfft(padded, size) * np.fft.rfft(echo, size) * colour, size)[: len(padded)]
    hiss = np.fft.rfft(generator.normal(0, 1, len(heard)))
    hiss *= np.arange(1, len(hiss) + 1) ** -generator.uniform(0, 1)  # white to brown
    noise = np.fft.irfft(hiss, len(heard))
    ratio = generator.uniform(-1, 28)  # dB
    noise *= np.sqrt(np.square(heard).mean() / np.square(noise).mean()) * 10 ** (-ratio / 20)
    heard = heard + noise
    return heard * (10 ** (-generator.uniform(1, 25) / 20) / np.abs(heard).max())
