"""Sound as numbers: from integers, from other rates, from several channels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import short_value

Samples = Tensor | np.ndarray[Any, Any]
"""Shape ``(samples,)`` or ``(channels, samples)``; floating point in [-1, 1], int16 or int32."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 192_000
"""Samples a second."""

MOST_CHANNELS = 32

_LOUDEST = 100.0  # no sound in [-1, 1], clipped or not, has a larger value; one of 16 bits nearly always has
_CROSSINGS = 8  # of zero, of the sinc function to either side
_ROLL_OFF = 0.95  # of the lower rate's half, where the resampling filter ends
_BLOCK = 1 << 20  # weights that are used together: 4 MB of samples


def check_rate(rate: object) -> int:
    """A number of samples a second; the message of an error goes on after whose it is."""
    whole = isinstance(rate, int | np.integer) and not isinstance(rate, bool)
    if not whole or not LOWEST_RATE <= int(rate) <= HIGHEST_RATE:  # type: ignore[call-overload]
        raise ValueError(
            f"has the rate {short_value(rate)}: give whole samples a second from {LOWEST_RATE} to {HIGHEST_RATE}, such "
            "as 16000"
        )
    return int(rate)  # type: ignore[call-overload]


def mono(samples: Samples, first: int | None = None) -> Tensor:
    """The ``first`` samples, or all, in [-1, 1]: the mean of all channels, float32, shape ``(samples,)``."""
    # The message of an error goes on after whose sound it is.
    if not isinstance(samples, Tensor | np.ndarray):
        raise ValueError(f"is a {type(samples).__name__}: give a tensor or an array of samples")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[0] <= MOST_CHANNELS):
        raise ValueError(
            f"has the shape {tuple(samples.shape)}: give (samples,), or (channels, samples) with up to {MOST_CHANNELS} "
            "channels"
        )
    cut = samples[..., :first]
    tensor = _tensor(cut)
    scales = {torch.int16: 2.0**15, torch.int32: 2.0**31}
    if not tensor.is_floating_point() and tensor.dtype not in scales:
        raise ValueError(f"has samples of type {tensor.dtype}: give floating point in [-1, 1], int16 or int32")
    sound = tensor.float() / scales.get(tensor.dtype, 1.0)
    if sound.dim() == 2:
        sound = sound.mean(0)
    if not bool(torch.isfinite(sound).all()):
        raise ValueError("has samples that are not finite: replace or remove it")
    if sound.numel() and float(sound.abs().max()) > _LOUDEST:
        raise ValueError(
            f"has samples up to {float(sound.abs().max()):g}: divide them by the largest that they can be, such as "
            "32768, or give int16"
        )
    return sound


def _tensor(samples: Samples) -> Tensor:
    if isinstance(samples, Tensor):
        return samples.detach()
    if samples.dtype.kind not in "fiub" or samples.dtype.itemsize > 8:
        raise ValueError(f"has samples of type {samples.dtype}: give floating point in [-1, 1], int16 or int32")
    # Of the machine's byte order, which files need not have; a copy, since readers may keep what they gave.
    return torch.from_numpy(np.array(samples.astype(samples.dtype.newbyteorder("="), copy=False)))


def resample(sound: Tensor, rate: int, to: int) -> Tensor:
    """Sound at another rate, by a windowed sinc function (Smith 1984), without what the lower rate cannot hold."""
    # Shape `(samples,)` becomes `(ceil(samples * to / rate),)`; silence is assumed before and behind the sound.
    if rate == to or not sound.numel():
        return sound
    weights, offset = _kernels(rate, to)
    weights = weights.to(sound)
    phases, taps = weights.shape
    stride = rate // math.gcd(rate, to)
    length, together = -(-len(sound) * to // rate), max(1, _BLOCK // taps)
    windows = torch.nn.functional.pad(sound, (offset, taps + stride)).unfold(0, taps, 1)
    if phases > (each := -(-length // phases)):
        places = torch.arange(length, device=sound.device).split(together)
        return torch.cat([(windows[own * stride // phases] * weights[own % phases]).sum(1) for own in places])
    parts = []
    for phase, own in enumerate(weights):  # whose windows lie evenly, and need not be copied: five times as fast
        alike = windows[phase * stride // phases :: stride][:each]
        parts.append(torch.cat([block @ own for block in alike.split(together)]))
    return torch.stack(parts, dim=1).reshape(-1)[:length]


def samples_before(samples: int, rate: int, to: int) -> int:
    """How many samples at a rate the first so many at another depend on."""
    if rate == to:
        return samples
    return -(-samples * rate // to) + _reach(rate, to) + 1


def _reach(rate: int, to: int) -> int:
    """Samples to either side that one at the other rate depends on."""
    return math.ceil(_CROSSINGS * max(1.0, rate / to) / _ROLL_OFF)


@lru_cache(maxsize=8)
def _kernels(rate: int, to: int) -> tuple[Tensor, int]:
    """The weights around each place between two samples, ``(places, samples)``, and how many lie before it."""
    # Sample `n` of the result lies at `n * rate / to`, and its weights are those of place `n` modulo their number.
    divisor = math.gcd(rate, to)
    phases, stride = to // divisor, rate // divisor
    reach = _reach(rate, to)
    between = (torch.arange(phases, dtype=torch.float64) * stride % phases) / phases
    distance = torch.arange(-reach, reach + 2, dtype=torch.float64) - between[:, None]
    cutoff = _ROLL_OFF * min(1.0, to / rate)
    scaled = distance * cutoff
    window = torch.cos(scaled.clamp(-_CROSSINGS, _CROSSINGS) * math.pi / (2 * _CROSSINGS)).square()
    weights = torch.sinc(scaled) * window
    return (weights / weights.sum(1, keepdim=True)).float(), reach
