"""Sound files: WAV by this module, the others by the package soundfile."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import open_regular
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import writable
from lit_metanas.kinds.sounds.waveforms import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, mono

SOUND_SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
"""How the names of sound files end, in small letters."""

SOUND_FORMATS = "WAV, FLAC, OGG, MP3 or AIFF"
"""What sound files are, for messages."""

_MAGIC = (b"fLaC", b"OggS", b"FORM", b"ID3")
"""The first bytes of files that soundfile reads."""

_MP3_SYNC = 0xFFE0
"""A frame of MP3 begins with eleven set bits, and so does a file without a title."""

_MOST_CHUNKS = 1000  # of a WAV file
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # formats of WAV
_STREAMED = 0xFFFFFFFF  # the length that programs write which cannot know it


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
            raise ValueError(f"it is not {SOUND_FORMATS}")
    soundfile = _soundfile(path)
    with _named(path), open_regular(path) as stream, soundfile.SoundFile(stream) as sound:
        rate = sound.samplerate
        _check(rate, sound.channels)
        samples = sound.read(frames=most(rate), dtype="float32", always_2d=True)
        return Recording(mono(torch.from_numpy(samples.T)), rate, sound.frames / rate)


def check_readable(files: Iterable[Path]) -> None:
    """Refuse sound files that need a package which is absent: each of them would be taken for a damaged one."""
    for file in files:
        if file.suffix.lower() != ".wav":
            _soundfile(file)
            return


def _soundfile(path: str | Path) -> Any:
    return import_extra("soundfile", "speech", f"'{writable(os.fspath(path))}'")


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"There is no sound '{writable(os.fspath(path))}': give the path of a sound file.") from None
    except DAMAGED as error:
        name = writable(os.fspath(path))
        raise ValueError(f"'{name}' is not a readable sound ({_cause(error)}): replace or remove it.") from None


def _cause(error: Exception) -> str:
    """Why a file cannot be read, in a few words."""
    cause = getattr(error, "strerror", None) or getattr(error, "error_string", None)  # of the system, and of soundfile
    text = cause or str(error) or type(error).__name__
    return writable(text.splitlines()[0].rstrip("."))[:200]


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
        stream.seek(begin + length + length % 2)
    raise ValueError("it has no samples")


def _read_format(content: bytes) -> tuple[int, int, int, int]:
    """Format, channels, rate and bits of a sample."""
    code, channels, rate, _, block, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE:
        code = int.from_bytes(content[24:26], "little")
    _check(rate, channels)
    if code in (_PCM, _FLOAT) and block * 8 != channels * bits:
        raise ValueError(f"it tells of {block} bytes for {channels} samples of {bits} bits")
    return code, channels, rate, bits


def _read_samples(
    stream: IO[bytes], length: int, described: tuple[int, int, int, int], most: Callable[[int], int]
) -> Recording | None:
    code, channels, rate, bits = described
    kinds = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "u1", (_PCM, 32): "<i4"}
    kinds |= {(_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
    if (code, bits) not in kinds:
        return None
    frame = channels * bits // 8
    content = stream.read(min(length // frame, most(rate)) * frame)
    samples = np.frombuffer(content, dtype=kinds[code, bits])
    if (code, bits) == (_PCM, 8):
        samples = (samples.astype(np.int16) - 128) << 8
    elif (code, bits) == (_PCM, 24):
        wide = np.zeros((len(samples) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = samples.reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4")
    return Recording(mono(samples.reshape(-1, channels).T), rate, length // frame / rate)


def _check(rate: int, channels: int) -> None:
    """Refuse numbers that no sound has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"it tells of {rate} samples a second")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"it tells of {channels} channels")
