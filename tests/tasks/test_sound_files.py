"""Sound files: as they are written, and as an attacker would give them."""

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lit_metanas.kinds import LogMel
from lit_metanas.kinds.sounds.sound_files import read_sound

WAVE = 0.4 * np.sin(np.arange(500) / 7)[:, None] * [1.0, 0.5]
MEAN = torch.from_numpy(WAVE.mean(1)).float()


def everything(rate: int) -> int:
    return 1 << 30


def wav(
    samples: bytes = bytes(8), *, code: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, more: bytes = b""
) -> bytes:
    block = channels * bits // 8
    described = struct.pack("<HHIIHH", code, channels, rate, min(rate * block, 2**32 - 1), block, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + described + more + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        ("WAV", "PCM_U8", 8e-3),
        ("WAVEX", "PCM_16", 5e-5),
        ("WAV", "PCM_24", 2e-7),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
    ],
)
def test_wav_is_read_without_a_package(tmp_path, monkeypatch, kind, code, error):
    soundfile.write(tmp_path / "a.wav", WAVE, 11025, subtype=code, format=kind)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    samples, rate, seconds = read_sound(tmp_path / "a.wav", everything)
    assert (rate, seconds) == (11025, 500 / 11025)
    assert (samples - MEAN).abs().max() < error


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [("a.flac", "PCM_16", 5e-5), ("a.wav", "ULAW", 2e-2), ("a.aiff", "PCM_16", 5e-5), ("a.mp3", "MPEG_LAYER_III", 0.2)],
)
def test_others_need_the_extra(tmp_path, monkeypatch, name, code, error):
    soundfile.write(tmp_path / name, WAVE, 22050, subtype=code)
    samples, rate, seconds = read_sound(tmp_path / name, everything)
    assert (rate, seconds) == (22050, 500 / 22050)
    assert (samples - MEAN).abs().max() < error
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=rf"{name}' needs the package soundfile .*pip install 'lit-metanas\[speech\]'"):
        read_sound(tmp_path / name, everything)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_only_the_beginning_is_read(tmp_path, name):
    soundfile.write(tmp_path / name, WAVE, 8000)
    samples, _, seconds = read_sound(tmp_path / name, lambda rate: rate // 80)
    assert (len(samples), seconds) == (100, 500 / 8000)
    assert (samples - MEAN[:100]).abs().max() < 5e-5


def test_a_file_gives_the_same_input_as_its_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE, 44100, subtype="DOUBLE")
    features = LogMel(steps=10)
    want = features.encode([(WAVE.T, 44100)])
    assert torch.equal(features.encode([tmp_path / "a.wav"]), want)
    assert torch.equal(features.encode([str(tmp_path / "a.wav")]), want)


def test_a_stream_that_knew_no_length_is_read_to_its_end(tmp_path):
    whole = wav(b"\1\0" * 50)
    (tmp_path / "a.wav").write_bytes(whole.replace(b"data\x64\0\0\0", b"data\xff\xff\xff\xff"))
    assert len(read_sound(tmp_path / "a.wav", everything).samples) == 50


def test_chunks_of_other_kinds_are_passed_over(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(b"\0\x40" * 3, more=b"LIST\3\0\0\0abc\0"))
    assert read_sound(tmp_path / "a.wav", everything).samples.tolist() == [0.5] * 3


def many_chunks(path: Path) -> None:
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    with path.open("r+b") as stream:
        stream.truncate(1 << 33)


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a pipe": ("is not a regular file", os.mkfifo),
    "a folder": ("is not a regular file|Is a directory", Path.mkdir),
    "a device": ("is not a regular file", lambda path: path.symlink_to("/dev/zero")),
    "nothing": ("it is empty", lambda path: path.write_bytes(b"")),
    "a text": ("it is not WAV, FLAC, OGG, MP3 or AIFF", lambda path: path.write_text("<html>")),
    "many chunks": ("no samples", many_chunks),
    "another RIFF": ("no WAVE", lambda path: path.write_bytes(b"RIFF\0\0\0\0AVI ")),
    "no header": ("no samples", lambda path: path.write_bytes(b"RIFF\0\0\0\0WAVE")),
    "no description": ("before their description", lambda path: path.write_bytes(b"RIFF\0\0\0\0WAVEdata\0\0\0\0")),
    "a short description": ("requires a buffer", lambda path: path.write_bytes(b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd")),
    "half a file": ("ends after .* of 400 bytes", lambda path: path.write_bytes(wav(bytes(400))[:100])),
    "no channels": ("0 channels", lambda path: path.write_bytes(wav(channels=0))),
    "a high rate": ("4000000000 samples a second", lambda path: path.write_bytes(wav(rate=4_000_000_000))),
    "odd blocks": ("tells of 4 bytes for 1", lambda path: path.write_bytes(wav().replace(b"\2\0\x10", b"\4\0\x10"))),
    "odd bits": ("not a readable sound", lambda path: path.write_bytes(wav(bits=48))),
    "half an OGG": ("not a readable sound", lambda path: path.write_bytes(b"OggS" + bytes(50))),
    "another FORM": ("not a readable sound", lambda path: path.write_bytes(b"FORM\0\0\0\x40ILBM" + bytes(50))),
    "not finite": ("not finite", lambda path: path.write_bytes(wav(b"\0\0\xc0\x7f" * 4, code=3, bits=32))),
    "loud": ("up to 1e", lambda path: path.write_bytes(wav(struct.pack("<f", 1e9), code=3, bits=32))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_one_sentence(name, tmp_path):
    cause, make = HOSTILE[name]
    make(tmp_path / "x.wav")
    with pytest.raises(ValueError, match=r"^'.*x\.wav' is not a readable sound \(.*\): replace or remove") as told:
        read_sound(tmp_path / "x.wav", lambda rate: rate)
    assert len(str(told.value).splitlines()) == 1
    told.match(cause)


def test_a_file_that_is_absent_or_has_an_odd_name_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^There is no sound '.*gone.wav': give the path of a sound file"):
        read_sound(tmp_path / "gone.wav", everything)
    odd = os.fsencode(tmp_path) + b"/\xff.wav"
    with open(odd, "wb") as stream:
        stream.write(b"RIFF")
    with pytest.raises(ValueError, match=r"\\udcff.wav' is not a readable sound"):
        read_sound(os.fsdecode(odd), everything)
