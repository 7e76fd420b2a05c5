"""Sound as numbers: read from files, of one channel, and at another rate.

WAV is read here, other files by the package soundfile.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import open_regular
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import short_value, writable

SOUND_SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}

LOWEST_RATE, HIGHEST_RATE, MOST_CHANNELS = 1_000, 192_000, 32  # samples a second, and channels

_MAGIC = (b"fLaC", b"OggS", b"FORM", b"ID3")  # the first bytes of files that soundfile reads
# A frame of MP3 begins with eleven set bits, and so does a file without a title.
_MP3_SYNC = 0xFFE0
_MOST_CHUNKS = 1000  # of a WAV file
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # formats of WAV
_STREAMED = 0xFFFFFFFF  # the length that programs write which cannot know it

_LOUDEST = 100.0  # no sound in [-1, 1], clipped or not, has a larger value; one of 16 bits nearly always has
_CROSSINGS = 8  # of zero, of the sinc function to either side
_ROLL_OFF = 0.95  # of the lower rate's half, where the resampling filter ends
_BLOCK = 1 << 20  # weights that are used together: 4 MB of samples

# Shape `(samples,)` or `(channels, samples)`; floating point in [-1, 1], int16 or int32.
Samples = Tensor | np.ndarray[Any, Any]


class Recording(NamedTuple):
    """The beginning of a sound file."""

    samples: Tensor  # the mean of all channels in [-1, 1], float32, shape (samples,)
    rate: int  # samples a second
    seconds: float  # of the whole file


def read_sound(path: str | Path, most: Callable[[int], int]) -> Recording:
    """Read the beginning of a sound file: as many samples of a channel as ``most`` returns for the file's rate."""
    # WAV with integers of 8 to 32 bits or floating point is read without another package. FLAC, OGG (Vorbis and Opus),
    # MP3 and AIFF, and WAV with other codes, need the extra `speech`.
    with _named(path), open_regular(path) as stream:
        begin = stream.read(4)
        if begin == b"RIFF":
            if (found := _read_wav(stream, most)) is not None:
                return found
        elif not begin:
            raise ValueError("it is empty")
        elif not begin.startswith(_MAGIC) and int.from_bytes(begin[:2]) < _MP3_SYNC:
            raise ValueError("it is not WAV, FLAC, OGG, MP3 or AIFF")
    soundfile = _soundfile(path)
    with _named(path), open_regular(path) as stream, soundfile.SoundFile(stream) as sound:
        rate = sound.samplerate
        _check(rate, sound.channels)
        samples = sound.read(frames=most(rate), dtype="float32", always_2d=True)
        return Recording(mono(torch.from_numpy(samples.T)), rate, sound.frames / rate)


def check_readable(files: Iterable[Path]) -> None:
    """Refuse sound files that need a package which is absent: each of them would be taken for a damaged one."""
    other = next((file for file in files if file.suffix.lower() != ".wav"), None)
    if other is not None:
        _soundfile(other)


def _soundfile(path: str | Path) -> Any:
    return import_extra("soundfile", "speech", f"'{writable(os.fspath(path))}'")


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"There is no sound '{writable(os.fspath(path))}': give the path of a sound file.") from None
    except DAMAGED as error:
        # `error_string` is soundfile's.
        of_system, of_soundfile = getattr(error, "strerror", None), getattr(error, "error_string", None)
        text = of_system or of_soundfile or str(error) or type(error).__name__
        cause = writable(text.splitlines()[0].rstrip("."))[:200]
        raise ValueError(
            f"'{writable(os.fspath(path))}' is not a readable sound ({cause}): replace or remove it."
        ) from None


def _read_wav(stream: IO[bytes], most: Callable[[int], int]) -> Recording | None:
    """A file of integers or floating point; None where it has other codes."""
    # The module `wave` reads no floating point, and before Python 3.12 no header of the newer kind.
    size = os.fstat(stream.fileno()).st_size
    if stream.read(8)[4:] != b"WAVE":
        raise ValueError("no WAVE in its header")
    described: tuple[int, int, int, int] | None = None
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            break
        name, length = head[:4], int.from_bytes(head[4:], "little")
        begin = stream.tell()
        if name == b"fmt ":
            described = _read_format(stream.read(min(length, 40)))
        elif name == b"data":
            if described is None:
                raise ValueError("its samples come before their description")
            there = size - begin
            if length > there and length != _STREAMED:
                raise ValueError(f"it ends after {there} of {length} bytes of samples")
            return _read_samples(stream, min(length, there), described, most)
        stream.seek(begin + length + length % 2)  # behind an odd length stands a byte of padding
    raise ValueError("it has no samples")


def _read_format(content: bytes) -> tuple[int, int, int, int]:
    """Format, channels, rate and bits of a sample."""
    code, channels, rate, _, block, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE:  # the format is what the identifier of the newer header begins with
        code = int.from_bytes(content[24:26], "little")
    _check(rate, channels)
    if code in (_PCM, _FLOAT) and block * 8 != channels * bits:
        raise ValueError(f"it tells of {block} bytes for {channels} samples of {bits} bits")
    return code, channels, rate, bits


def _read_samples(
    stream: IO[bytes], length: int, described: tuple[int, int, int, int], most: Callable[[int], int]
) -> Recording | None:
    code, channels, rate, bits = described
    kinds = {
        (_PCM, 8): "u1",
        (_PCM, 16): "<i2",
        (_PCM, 24): "u1",  # bytes, as numpy has no such integers
        (_PCM, 32): "<i4",
        (_FLOAT, 32): "<f4",
        (_FLOAT, 64): "<f8",
    }
    if (code, bits) not in kinds:
        return None
    frame = channels * bits // 8
    samples = np.frombuffer(stream.read(min(length // frame, most(rate)) * frame), dtype=kinds[code, bits])
    if (code, bits) == (_PCM, 8):
        samples = (samples.astype(np.int16) - 128) << 8  # those of 8 bits alone have no sign
    elif (code, bits) == (_PCM, 24):
        wide = np.zeros((len(samples) // 3, 4), dtype=np.uint8)
        # Little-endian: the three bytes are the upper ones, so that the sign is right.
        wide[:, 1:] = samples.reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4")
    return Recording(mono(samples.reshape(-1, channels).T), rate, length // frame / rate)


def _check(rate: int, channels: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"it tells of {rate} samples a second")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"it tells of {channels} channels")


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
    tensor = _tensor(samples[..., :first])
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
    scaled = distance * (_ROLL_OFF * min(1.0, to / rate))
    window = torch.cos(scaled.clamp(-_CROSSINGS, _CROSSINGS) * math.pi / (2 * _CROSSINGS)).square()
    weights = torch.sinc(scaled) * window
    return (weights / weights.sum(1, keepdim=True)).float(), reach
