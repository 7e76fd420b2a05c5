"""The benchmark of words: how it reads real speech, and that it measures what it says."""

import importlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import lit_metanas as lm

FOLDER = Path(lm.__file__).parent.parent / "benchmarks"
SMALL = lm.LogMel(bins=8, steps=20)


@pytest.fixture
def speech(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("speech")


@pytest.fixture
def data(tmp_path):
    """Tones: of ten digits by three speakers, and of seven words of two data sets, one clip twice."""
    generator = np.random.default_rng(0)
    digits, ends, labels, speakers = [], [0], [], []
    for label in range(10):
        for speaker in range(3):
            for _ in range(20):
                sound = 9000 * np.sin(np.arange(800 + ends[-1] % 300) * (0.2 + label / 5) + generator.normal())
                digits.append(sound.astype(np.int16))
                ends.append(ends[-1] + len(sound))
                labels.append(label)
                speakers.append(speaker)
    np.savez(
        tmp_path / "fsdd_8k_int16.npz",
        audio=np.concatenate(digits),
        offsets=np.array(ends, np.uint32),
        label=np.array(labels, np.uint8),
        speaker=np.array(speakers, np.uint8),
        speaker_names=np.array(["ann", "bob", "cid"]),
    )
    audio = generator.integers(0, 256, (8, 900)).astype(np.uint8)
    audio[7] = audio[0]
    np.savez(
        tmp_path / "wake_words_8k_mulaw.npz",
        audio=audio,
        label=np.array([0, 1, 2, 2, 1, 0, 3, 0], np.uint8),
        names=np.array(["alexa", "hal", "amelia", "(other en)"]),
        source=np.array(["A:1", "A:2", "B:3", "B:4", "A:5", "A:6", "B:7", "A:8"]),
    )
    return tmp_path


def test_digits_hold_out_speakers(speech, data):
    source = speech.spoken_digits(data / speech.FSDD, SMALL, held_out=["bob"])
    assert (source.instances("test", 4), source.instances("test", 4, held_out=True)) == (40, 20)
    stored = dict(np.load(data / speech.FSDD))
    row = np.flatnonzero((stored["label"] == 4) & (stored["speaker"] == 1))[7]
    sound = stored["audio"][stored["offsets"][row] : stored["offsets"][row + 1]]
    assert torch.equal(source.inputs("test", 4, [7], held_out=True), SMALL.encode([sound]))
    with pytest.raises(ValueError, match="has no speaker 'theo': it has ann, bob, cid"):
        speech.spoken_digits(data / speech.FSDD, SMALL, held_out=["theo"])


def test_wake_words_leave_out_other_speech_and_what_is_there_twice(speech, data):
    source = speech.wake_words(data / speech.WAKE_WORDS, SMALL)
    assert source.classes("test") == ("alexa", "hal", "amelia")
    assert source.groups("test") == ("A", "A", "B")
    assert [source.instances("test", c) for c in range(3)] == [2, 2, 2]
    assert source.instances("test", 0, held_out=True) == 0


def test_figures_are_those_of_the_embedding(speech, data, tmp_path, capsys, monkeypatch):
    words = partial(lm.SpokenWords, cache=str(tmp_path), words=(20, 0, 4), pool=6, ordinary=20, held_out=20)
    monkeypatch.setattr(speech.lm, "SpokenWords", words)
    monkeypatch.setattr(speech, "SIZES", ((2, 1),))
    reader = lambda file, features: speech.spoken_digits(file, features, ["cid"])  # noqa: E731
    monkeypatch.setattr(speech, "READERS", {speech.FSDD: reader, "gone.npz": reader})
    output = tmp_path / "figures.json"
    speech.main(["--data", str(data), "--seconds", "0.1", "--tasks", "3", "--output", str(output)])
    assert f"gone.npz is left out: {data} has no such file." in capsys.readouterr().out
    found = {figure["name"]: figure["value"] for figure in json.loads(output.read_text())["figures"]}
    assert found["fsdd, 5-way 5-shot, mean spectra"] > 80  # the tones of digits
    assert len(found) == 7


def test_a_networks_scores_do_not_depend_on_the_padding(speech):
    torch.manual_seed(0)
    network = speech.Convolutions(9).eval()
    inputs = SMALL.encode([torch.randn(n) for n in (500, 1300)])
    with torch.no_grad():
        assert torch.allclose(network(inputs)[:1], network(inputs[:1]), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "ordinary", "held_out"),
    [("FSDD", [150] * 10, [150] * 10), ("WAKE_WORDS", [*[150] * 6, 119, 120, 56, 48], [0] * 10)],
)
def test_real_speech_is_read(speech, data_folder, name, ordinary, held_out):
    file = data_folder / getattr(speech, name)
    if not file.is_file():
        pytest.skip(f"no {file.name} in {data_folder}")
    source = speech.READERS[file.name](file, lm.LogMel(bins=10, steps=20))
    places = range(len(source.classes("test")))
    assert [source.instances("test", place) for place in places] == ordinary
    assert [source.instances("test", place, held_out=True) for place in places] == held_out
