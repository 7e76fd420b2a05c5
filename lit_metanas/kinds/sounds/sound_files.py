"""Sound files, read by the package soundfile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import open_regular
from lit_metanas.io.text import writable
from lit_metanas.kinds.sounds.waveforms import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, mono

SOUND_SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
"""How the names of sound files end, in small letters."""

_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3")
"""The first bytes of such files. libsndfile reads many other formats, which nobody has tried here."""

_MP3_SYNC = 0xFFE0
"""A frame of MP3 begins with eleven set bits, and so does a file without a title."""

_STREAMED = 0x7FFF0000


class Recording(NamedTuple):
    """The beginning of a sound file."""

    samples: Tensor  # the mean of all channels in [-1, 1], float32, shape (samples,)
    rate: int  # samples a second
    seconds: float  # of the whole file


def read_sound(path: str | Path, most: Callable[[int], int]) -> Recording:
    """Read the beginning of a sound file: as many samples of a channel as ``most`` returns for the file's rate."""
    name = writable(os.fspath(path))
    try:
        return _read(path, most)
    except FileNotFoundError:
        raise ValueError(f"There is no sound '{name}': give the path of a sound file.") from None
    except DAMAGED as error:
        # of the system, and of soundfile
        cause = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
        told = writable((cause or type(error).__name__).splitlines()[0].rstrip("."))[:200]
        raise ValueError(f"'{name}' is not a readable sound ({told}): replace or remove it.") from None


def _read(path: str | Path, most: Callable[[int], int]) -> Recording:
    import soundfile  # its library is loaded only where there are sounds

    with open_regular(path) as stream:
        begin, size = stream.read(8), os.fstat(stream.fileno()).st_size
        if not begin:
            raise ValueError("it is empty")
        if not begin.startswith(_MAGIC) and int.from_bytes(begin[:2]) < _MP3_SYNC:
            raise ValueError("it is not WAV, FLAC, OGG, MP3 or AIFF")
        # libsndfile reads half a WAV file as a shorter one. A program that cannot know the length writes a huge one.
        whole = int.from_bytes(begin[4:], "little") + 8
        if begin.startswith(b"RIFF") and size < whole < _STREAMED:
            raise ValueError(f"it ends after {size} of {whole} bytes")
        stream.seek(0)
        with soundfile.SoundFile(stream) as sound:
            rate = sound.samplerate
            if not LOWEST_RATE <= rate <= HIGHEST_RATE or sound.channels > MOST_CHANNELS:
                raise ValueError(f"it has {rate} samples a second in {sound.channels} channels")
            samples = sound.read(frames=most(rate), dtype="float32", always_2d=True)
            return Recording(mono(torch.from_numpy(samples.T)), rate, sound.frames / rate)
