"""Sound files: WAV by Python's own module, the others by the package soundfile."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
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

_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3")
"""The first bytes of such files. libsndfile reads many other formats, which nobody has tried here."""

_MP3_SYNC = 0xFFE0
"""A frame of MP3 begins with eleven set bits, and so does a file without a title."""

_STREAMED = 0x7FFF0000
"""A program that cannot know the length of a WAV file writes a larger one."""

_HEADER = 1 << 20
"""Bytes in which the samples of a WAV file begin: of more, a hostile one would have a chunk every eight bytes."""


class Recording(NamedTuple):
    """The beginning of a sound file."""

    samples: Tensor  # the mean of all channels in [-1, 1], float32, shape (samples,)
    rate: int  # samples a second
    seconds: float  # of the whole file


def read_sound(path: str | Path, most: Callable[[int], int]) -> Recording:
    """Read the beginning of a sound file: as many samples of a channel as ``most`` returns for the file's rate."""
    # WAV files with integers are read without another package. FLAC, OGG (Vorbis and Opus), MP3 and AIFF, and WAV with
    # other codes, need the extra `speech`.
    with _named(path), open_regular(path) as stream:
        begin, size = stream.read(8), os.fstat(stream.fileno()).st_size
        if not begin:
            raise ValueError("it is empty")
        if not begin.startswith(_MAGIC) and int.from_bytes(begin[:2]) < _MP3_SYNC:
            raise ValueError("it is not WAV, FLAC, OGG, MP3 or AIFF")
        whole = int.from_bytes(begin[4:], "little") + 8
        if begin.startswith(b"RIFF") and size < whole < _STREAMED:
            raise ValueError(f"it ends after {size} of {whole} bytes")
        if begin.startswith(b"RIFF"):
            with suppress(wave.Error):  # of other codes
                return _read_wav(stream, size, most)
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
    name = writable(os.fspath(path))
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"There is no sound '{name}': give the path of a sound file.") from None
    except DAMAGED as error:
        # of the system, and of soundfile
        cause = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
        told = writable((cause or type(error).__name__).splitlines()[0].rstrip("."))[:200]
        raise ValueError(f"'{name}' is not a readable sound ({told}): replace or remove it.") from None


def _read_wav(stream: IO[bytes], size: int, most: Callable[[int], int]) -> Recording:
    """Read a file of integers; other codes raise ``wave.Error``."""
    codes = {1: "u1", 2: "<i2", 3: "u1", 4: "<i4"}  # NumPy has no integers of three bytes
    stream.seek(0)
    head = BytesIO(stream.read(_HEADER))
    with wave.open(head) as described:
        rate, channels, width = described.getframerate(), described.getnchannels(), described.getsampwidth()
        frames = min(described.getnframes(), (size - head.tell()) // (channels * width))
    if width not in codes:
        raise wave.Error
    _check(rate, channels)
    stream.seek(head.tell())
    content = stream.read(min(frames, most(rate)) * channels * width)
    samples = np.frombuffer(content, dtype=codes[width])
    if width == 1:
        samples = (samples.astype(np.int16) - 128) << 8
    if width == 3:
        wide = np.zeros((len(samples) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = samples.reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4")
    return Recording(mono(samples.reshape(-1, channels).T), rate, frames / rate)


def _check(rate: int, channels: int) -> None:
    """Refuse numbers that no sound has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"it has {rate} samples a second in {channels} channels")
