"""Sound as a series of log-mel spectra, and the spectra that suit some recordings."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from statistics import median_high
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs import Preprocessing, SeriesShape
from lit_metanas.inputs.batches import step_mask
from lit_metanas.io.text import short_value
from lit_metanas.kinds.sounds.sound_files import (
    Recording,
    Samples,
    check_rate,
    mono,
    read_sound,
    resample,
    samples_before,
)

# Samples at the rate of the features, samples with a rate of their own, or a sound file.
RawSound = Samples | tuple[Samples, int] | str | Path

MOST_FILTER_VALUES = 1 << 22  # bands times frequencies: 33 MB while they are worked out
LONGEST_RECORDING = 60.0  # seconds of a recording that are heard, unless a window is asked for
# Samples a second: a higher rate costs no steps, but what is above 8 kHz is little of most sounds.
LOWEST_USUAL_RATE, HIGHEST_USUAL_RATE = 8_000, 16_000
WHOLE_SHARE = 0.95  # of the recordings, which are not cut
# Steps that a network hears at once, whose cost grows with them; windows of a recording; bytes of all recordings.
WINDOW_STEPS, MOST_WINDOWS, MOST_USUAL_BYTES = 250, 6, 1 << 30
# Seconds of 250 steps: every 10 ms, and every 400 ms with spectra of a second.
SHORTEST_WINDOW, LONGEST_WINDOW = 2.5, 100.0
# Times the usual window and hop. Of sounds of five seconds Piczak (2015) takes twice the usual ones, too.
COARSENINGS = (1, 2, 4)


@dataclass(frozen=True)
class LogMel(Preprocessing):
    """Sound as the logarithm of its energy in bands that are equally wide to the ear, every few milliseconds.

    Each step has ``bins`` values and the mask. Windows (Hann) begin at the first sample and the last one is filled up
    with silence, so that each sample is within one; no sound at all gives one step of silence. The bands are triangles
    with a peak of 1 that overlap by half, on the mel scale of O'Shaughnessy (1987) that HTK uses: 2595 log10(1 + f /
    700). Energy is scaled so that the bands of a step sum up to the mean square of its sound. Sound of another rate is
    resampled, of several channels is averaged; what lies behind ``steps`` steps is cut before anything is computed.

    Attributes:
        rate: samples a second that sound is brought to.
        bins: number of bands.
        window: seconds of sound that a step describes.
        hop: seconds from one step to the next.
        lowest: Hz, where the first band begins.
        highest: Hz, where the last band ends; None takes half the rate.
        floor: energy below which all is silence.
        mean: what is subtracted from the logarithm.
        deviation: what it is divided by then.
        centre: whether the mean of each band over the recording is subtracted, too. This takes out loudness and the
            microphone's colour, but of a short word also much of its vowels.
        steps: the most of an input.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> features = lm.kinds.LogMel()
        >>> series = features.encode([torch.rand(4000), (torch.rand(2, 16000), 16000)])
        >>> series.shape, features.show(series)
        (torch.Size([2, 41, 100]), ['0.50 s of sound', '1.00 s of sound'])
    """

    rate: int = 8000
    bins: int = 40
    window: float = 0.025
    hop: float = 0.01
    lowest: float = 60.0
    highest: float | None = None
    floor: float = 1e-8
    mean: float = -13.0
    deviation: float = 3.25
    centre: bool = False
    steps: int = 100

    kind: ClassVar[str] = "log-mel"
    noun: ClassVar[str] = "sounds"

    def __post_init__(self) -> None:
        try:
            check_rate(self.rate)
        except ValueError as error:
            raise ValueError(f"LogMel {error}.") from None
        top, real = self.rate / 2, (int, float)
        bounds = {
            "bins": ("a whole number", (int,), 1, 512),
            "steps": ("a whole number", (int,), 1, 1 << 20),
            "window": ("a number", real, 2 / self.rate, 1.0),
            "hop": ("a number", real, 1 / self.rate, 1.0),
            "lowest": ("a number", real, 0.0, top),
            "_highest": ("a number", real, 0.0, top),
            "floor": ("a number", real, 1e-30, 1.0),
            "mean": ("a number", real, -1e6, 1e6),
            "deviation": ("a number", real, 1e-6, 1e6),
        }
        for name, (noun, types, low, high) in bounds.items():
            value = getattr(self, name)
            # By its very type: True is an int, too.
            if type(value) not in types or not low <= value <= high:
                raise ValueError(
                    f"LogMel: {name.strip('_')} = {short_value(value)} must be {noun} from {low:.7g} to {high:.7g}."
                )
        if type(self.centre) is not bool:
            raise ValueError(f"LogMel: centre = {short_value(self.centre)} must be true or false.")
        if self.lowest >= self._highest:
            raise ValueError(f"LogMel: lowest = {self.lowest:g} must be below highest = {self._highest:g}.")
        large = self.bins * (self._transform // 2 + 1) > MOST_FILTER_VALUES
        if large or bool((self.filters().amax(1) == 0).any()):  # bands without a frequency
            raise ValueError(
                f"LogMel: bins = {self.bins} are too many for windows of {self.window:g} s at {self.rate} samples a "
                "second: take fewer."
            )

    @property
    def shape(self) -> SeriesShape:
        """``(bins + 1, steps)``: the last feature is the mask."""
        return SeriesShape(self.bins + 1, self.steps)

    @property
    def longest(self) -> int:
        """Samples that all steps describe; those behind them are cut."""
        return (self.steps - 1) * self._hop + self._window

    @property
    def heard(self) -> str:
        """How much of a sound they describe, such as ``up to 1.01 s at 8,000 samples a second``."""
        return f"up to {self.longest / self.rate:.2f} s at {self.rate:,} samples a second"

    def cuts(self, seconds: float) -> bool:
        """Whether the end of a sound of so many seconds is cut."""
        return seconds > self.longest / self.rate + 1e-6

    def steps_of(self, samples: int) -> int:
        """Steps that describe so many samples at ``rate``, at least one."""
        return 1 + max(0, -(-(samples - self._window) // self._hop))

    def encode(self, raw: Sequence[RawSound]) -> Tensor:
        """The series of some sounds, shape ``(n, bins + 1, steps)``.

        Args:
            raw: each is samples, ``(samples,)`` or ``(channels, samples)``, floating point in [-1, 1], int16 or int32;
                or these and their rate; or the path of a sound file.

        Raises:
            ValueError: one of them is no sound, or an unreadable file.
        """
        inputs = torch.zeros(len(raw), *self.shape)
        for place, (row, sound) in enumerate(zip(inputs, raw, strict=True)):
            series = self.series(self.waveform(sound, f"Sound {place + 1} of {len(raw)}"))
            row[: self.bins, : series.shape[1]] = series
            row[self.bins, : series.shape[1]] = 1
        return inputs

    def waveform(self, raw: RawSound, name: str) -> Tensor:
        """A sound, as ``encode`` takes it, as one channel at ``rate``, of at most ``longest`` samples, float32.

        Messages begin with its ``name``.
        """
        rate: object = self.rate
        if isinstance(raw, str | Path):
            raw = self.read(raw)[:2]
        if isinstance(raw, tuple):
            if len(raw) != 2:
                raise ValueError(f"{name} is {len(raw)} things: give samples and their rate.")
            raw, rate = raw
        try:
            own = check_rate(rate)
            sound = mono(raw, samples_before(self.longest, own, self.rate))
        except ValueError as error:
            raise ValueError(f"{name} {error}.") from None
        return resample(sound, own, self.rate)[: self.longest]

    def read(self, path: str | Path) -> Recording:
        """As much of a sound file as the features describe."""
        return read_sound(path, lambda rate: samples_before(self.longest, rate, self.rate))

    def series(self, sound: Tensor) -> Tensor:
        """The spectra of one sound at ``rate``, ``(samples,)``: ``(bins, steps)`` with as many steps as it needs."""
        steps = self.steps_of(len(sound))
        before = (self._transform - self._window) // 2  # where torch puts the window within the transform
        behind = (steps - 1) * self._hop + self._transform - before - len(sound)
        padded = torch.nn.functional.pad(sound, (before, max(0, behind)))
        window = torch.hann_window(self._window, dtype=sound.dtype, device=sound.device)
        spectra = torch.stft(
            padded, self._transform, self._hop, self._window, window, center=False, return_complex=True
        )[:, :steps]
        energy = spectra.real.square() + spectra.imag.square()
        # By Parseval's theorem; half of a spectrum is computed, hence the 2.
        bands = self.filters().to(sound) @ (energy * (2 / (self._transform * window.square().sum())))
        values = (bands.clamp(min=self.floor).log() - self.mean) / self.deviation
        if self.centre:
            values = values - values.mean(1, keepdim=True)
        return values

    def filters(self) -> Tensor:
        """The bands, shape ``(bins, frequencies)``, float32."""
        return _mel_filters(self.bins, self._transform, self.rate, self.lowest, self._highest)

    def seconds(self, inputs: Tensor) -> list[float]:
        """How long each sound is, to half the length of a hop."""
        steps = step_mask(inputs).sum(1).tolist()
        return [((count - 1.5) * self._hop + self._window) / self.rate if count else 0.0 for count in steps]

    def show(self, inputs: Tensor) -> list[str]:
        """Each input in a line such as ``0.62 s of sound``."""
        return [f"{seconds:.2f} s of sound" for seconds in self.seconds(inputs)]

    def to_plain(self) -> dict[str, Any]:
        """All attributes."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: an attribute is missing, unknown or out of its range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(plain, Mapping) or set(plain) != names:
            raise ValueError(f"Log-mel features are described by {', '.join(sorted(names))}, and by nothing else.")
        return cls(**plain)

    @property
    def _window(self) -> int:
        return max(2, round(self.window * self.rate))

    @property
    def _hop(self) -> int:
        return max(1, round(self.hop * self.rate))

    @property
    def _transform(self) -> int:
        """Twice the window or more: the narrow bands of low frequencies each have values of the spectrum."""
        return 2 ** math.ceil(math.log2(2 * self._window))

    @property
    def _highest(self) -> float:
        if self.highest is None:
            return self.rate / 2
        return self.highest


@lru_cache(maxsize=16)
def _mel_filters(bins: int, transform: int, rate: int, lowest: float, highest: float) -> Tensor:
    """Triangles between neighbours of ``bins + 2`` frequencies that are equally far apart on the mel scale."""
    first, last = (2595 * math.log10(1 + hertz / 700) for hertz in (lowest, highest))
    edges = 700 * (10 ** (torch.linspace(first, last, bins + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.arange(transform // 2 + 1, dtype=torch.float64) * rate / transform
    begin, peak, end = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - begin) / (peak - begin), (end - frequencies) / (end - peak)
    return torch.minimum(rising, falling).clamp(min=0).float()


def features_for(files: Collection[Path], window: float | None = None) -> LogMel:
    """Features that describe nearly all readable recordings from beginning to end, where that is not too much."""
    # `LogMel()` hears one second, every 10 ms. Longer recordings get up to 250 steps, then steps that are twice and
    # four times as far apart. Those of more than ten seconds are several windows of 250 steps, up to a minute. What
    # lies behind is cut, and of many files even earlier.
    if window is not None and not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise ValueError(f"window = {window:g} must be from {SHORTEST_WINDOW:g} to {LONGEST_WINDOW:g} seconds.")
    usual, found = LogMel(), list[Recording]()
    for file in files:
        with suppress(ValueError):
            found.append(read_sound(file, lambda rate: 1))  # all that counts is in its header
    if not found:
        return usual
    # The length of one of the recordings, not one between two.
    seconds = float(np.quantile([recording.seconds for recording in found], WHOLE_SHARE, method="inverted_cdf"))
    in_memory = max(usual.steps, MOST_USUAL_BYTES // (4 * (usual.bins + 1) * len(files)))
    if window is not None:
        times = window / WINDOW_STEPS / usual.hop
        features = _coarser(usual, _usual_rate(found), times)
        return replace(features, steps=min(in_memory, WINDOW_STEPS * math.ceil(seconds / window)))
    for times in COARSENINGS:
        features = _coarser(usual, _usual_rate(found), times)
        steps = features.steps_of(math.ceil(min(seconds, LONGEST_RECORDING) * features.rate))
        if steps <= min(WINDOW_STEPS, in_memory):
            break
    return replace(features, steps=min(MOST_WINDOWS * WINDOW_STEPS, in_memory, max(usual.steps, steps)))


def _coarser(usual: LogMel, rate: int, times: float) -> LogMel:
    return replace(usual, rate=rate, window=times * usual.window, hop=times * usual.hop)


def whole_features_for(files: Collection[Path]) -> LogMel:
    """The usual features, of as many steps as the longest of some recordings needs."""
    found, usual = [read_sound(file, lambda rate: 1) for file in files], LogMel()
    seconds = min(max(recording.seconds for recording in found), LONGEST_RECORDING)
    return replace(usual, rate=_usual_rate(found), steps=max(1, math.ceil(seconds / usual.hop)))


def _usual_rate(measured: Collection[Recording]) -> int:
    usual = median_high(recording.rate for recording in measured)
    return min(max(usual, LOWEST_USUAL_RATE), HIGHEST_USUAL_RATE)
