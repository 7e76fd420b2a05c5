"""The features of recordings where nobody asked for others: their rate and steps are those that the files need."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from lit_metanas.tasks.speech.log_mel import LogMel
from lit_metanas.tasks.speech.sound_files import read_sound

LONGEST_RECORDING = 60.0
"""Seconds of a recording of which every word is to be written down."""

LOWEST_USUAL_RATE, HIGHEST_USUAL_RATE = 8_000, 16_000
"""Samples a second: a higher rate costs no steps, but what is above 8 kHz is little of most sounds."""

WHOLE_SHARE = 0.95
"""Share of the recordings that are not cut."""

MOST_USUAL_STEPS, MOST_USUAL_BYTES = 250, 1 << 30
"""Of an input, whose cost grows with its steps, and of all inputs together."""

COARSENINGS = (1, 2, 4)
"""Times the usual window and hop. Of sounds of five seconds Piczak (2015) takes twice the usual ones, too."""


def features_for(files: Collection[Path]) -> LogMel:
    """Features that describe nearly all recordings from beginning to end, where that is not too much.

    ``LogMel()`` hears one second, every 10 ms. Longer recordings get up to 250 steps, then steps that are twice and
    four times as far apart; what lies behind ten seconds is cut, and of many files even earlier. Unreadable files are
    left out.

    Args:
        files: the recordings.
    """
    usual, found = LogMel(), [measured for file in files for measured in _measured_if_readable(file)]
    if not found:
        return usual
    seconds = float(np.quantile([length for length, _ in found], WHOLE_SHARE, method="inverted_cdf"))
    in_memory = MOST_USUAL_BYTES // (4 * (usual.bins + 1) * len(files))
    most = max(usual.steps, min(MOST_USUAL_STEPS, in_memory))
    for times in COARSENINGS:
        features = replace(usual, rate=_usual_rate(found), window=times * usual.window, hop=times * usual.hop)
        steps = features.steps_of(math.ceil(min(seconds, LONGEST_RECORDING) * features.rate))
        if steps <= most:
            break
    return replace(features, steps=min(most, max(usual.steps, steps)))


def whole_features_for(files: Iterable[Path]) -> LogMel:
    """The usual features, of as many steps as the longest of some recordings needs.

    Raises:
        ValueError: a file is unreadable.
    """
    found, usual = [_measured(file) for file in files], LogMel()
    seconds = min(max(length for length, _ in found), LONGEST_RECORDING)
    return replace(usual, rate=_usual_rate(found), steps=max(1, math.ceil(seconds / usual.hop)))


def _measured(file: Path) -> tuple[float, int]:
    """Seconds of a recording, and samples of each."""
    recording = read_sound(file, lambda rate: 1)
    return recording.seconds, recording.rate


def _measured_if_readable(file: Path) -> Iterator[tuple[float, int]]:
    with suppress(ValueError):
        yield _measured(file)


def _usual_rate(measured: Collection[tuple[float, int]]) -> int:
    """The median of their rates, within bounds."""
    rates = sorted(rate for _, rate in measured)
    return min(max(rates[len(rates) // 2], LOWEST_USUAL_RATE), HIGHEST_USUAL_RATE)
