"""Sound as numbers and as log-mel spectra."""

import json
import math

import numpy as np
import pytest
import torch

from lit_metanas.inputs import SeriesShape
from lit_metanas.inputs.batches import step_mask
from lit_metanas.kinds import LogMel
from lit_metanas.kinds.sounds.sound_files import mono, resample, samples_before


def by_loops(sound: list[float], features: LogMel) -> np.ndarray:
    """Log-mel spectra by the definition, in double precision."""
    window, hop = round(features.window * features.rate), round(features.hop * features.rate)
    size = 2 ** math.ceil(math.log2(2 * window))
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)]
    mel = lambda hertz: 2595 * math.log10(1 + hertz / 700)  # noqa: E731
    hertz = lambda mels: 700 * (10 ** (mels / 2595) - 1)  # noqa: E731
    low, high = mel(features.lowest), mel(features.highest or features.rate / 2)
    edges = [hertz(low + (high - low) * i / (features.bins + 1)) for i in range(features.bins + 2)]
    steps = 1
    while (steps - 1) * hop + window < len(sound):
        steps += 1
    found = np.zeros((features.bins, steps))
    for step in range(steps):
        part = [sound[step * hop + n] * hann[n] if step * hop + n < len(sound) else 0.0 for n in range(window)]
        for place in range(size // 2 + 1):
            angle = 2 * math.pi * place / size
            real = sum(value * math.cos(angle * n) for n, value in enumerate(part))
            imaginary = sum(value * math.sin(angle * n) for n, value in enumerate(part))
            energy = 2 * (real**2 + imaginary**2) / size / sum(value**2 for value in hann)
            frequency = place * features.rate / size
            for band in range(features.bins):
                begin, peak, end = edges[band : band + 3]
                rising, falling = (frequency - begin) / (peak - begin), (end - frequency) / (end - peak)
                found[band, step] += max(0.0, min(rising, falling)) * energy
    return (np.log(np.maximum(found, features.floor)) - features.mean) / features.deviation


@pytest.mark.parametrize(
    "features",
    [
        LogMel(rate=1000, bins=5, window=0.032, hop=0.012, lowest=20.0, steps=30),
        LogMel(rate=1600, bins=4, window=0.02, hop=0.02, lowest=0.0, highest=700.0, floor=1e-3, mean=1.0, steps=30),
    ],
)
def test_spectra_are_those_of_plain_loops(features):
    sound = 0.5 * np.sin(0.4 * np.arange(100)) + 0.1 * np.random.default_rng(0).normal(size=100)
    want = by_loops(sound.tolist(), features)
    assert np.abs(features.series(torch.from_numpy(sound)).numpy() - want).max() < 1e-6
    (inputs,) = features.encode([sound])
    steps = want.shape[1]
    assert np.abs(inputs[:-1, :steps].numpy() - want).max() < 1e-4
    assert inputs[-1].tolist() == [1.0] * steps + [0.0] * (30 - steps)
    assert not inputs[:, steps:].any()


@pytest.mark.parametrize("nothing", [torch.zeros(0), (torch.zeros(2, 0), 44100)])
@pytest.mark.parametrize("centre", [False, True])
def test_no_sound_is_one_step_of_silence(nothing, centre):
    features = LogMel(centre=centre)
    inputs = features.encode([nothing])
    assert step_mask(inputs).sum() == 1
    assert torch.equal(inputs, features.encode([torch.zeros(100)]))
    silence = 0.0 if centre else (math.log(features.floor) - features.mean) / features.deviation
    assert torch.allclose(inputs[0, :-1, 0], torch.tensor(silence))
    assert features.encode([]).shape == (0, 41, 100)
    shown = features.show(features.encode([torch.rand(n) for n in (4960, 100_000)]))
    assert shown == ["0.62 s of sound", "1.01 s of sound"]


def test_centred_spectra_do_not_depend_on_loudness_or_colour():
    sound = torch.randn(4000) * 0.3
    loud, quiet = LogMel(centre=True).encode([sound, 0.1 * sound])
    assert torch.allclose(loud, quiet, atol=1e-3)
    assert (LogMel().encode([sound])[0] - LogMel().encode([0.1 * sound])[0]).abs().max() > 0.5
    assert loud[:-1].mean(1).abs().max() < 1e-5


@pytest.mark.parametrize(("rate", "to"), [(8000, 16000), (44100, 8000), (8001, 8000)])
def test_a_sine_is_the_same_at_another_rate(rate, to):
    seconds, hertz = 0.4, 440.0
    sine = lambda own: torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * own)) / own)  # noqa: E731
    found, want = resample(sine(rate), rate, to), sine(to)
    assert len(found) == math.ceil(round(seconds * rate) * to / rate)
    inner = slice(to // 50, round(seconds * to) - to // 50)
    assert (found[inner] - want[inner]).abs().max() < 3e-3


def test_what_the_lower_rate_cannot_hold_is_left_out():
    sine = torch.sin(2 * math.pi * 5500 * torch.arange(8000) / 16000)
    assert resample(sine, 16000, 8000)[100:-100].abs().max() < 3e-3
    constant = resample(torch.ones(8000), 44100, 8000)
    assert (constant[100:-100] - 1).abs().max() < 1e-6


def test_resampling_goes_by_blocks_and_by_what_it_depends_on(monkeypatch):
    sound = torch.randn(9000)
    want = resample(sound, 22050, 8000)
    assert torch.equal(resample(sound[: samples_before(500, 22050, 8000)], 22050, 8000)[:500], want[:500])
    monkeypatch.setattr("lit_metanas.kinds.sounds.sound_files._BLOCK", 3000)
    assert torch.allclose(resample(sound, 22050, 8000), want, atol=1e-6)


def test_integers_and_channels():
    wave = torch.tensor([[0.5, -0.25], [0.0, 0.25]])
    for kind, scale in ((torch.int16, 2**15), (torch.int32, 2**31)):
        assert torch.equal(mono((wave.double() * scale).to(kind)), torch.tensor([0.25, 0.0]))
    assert torch.equal(mono(wave.double().numpy().astype(">f8")), torch.tensor([0.25, 0.0]))


BAD = {
    "is a list: give a tensor": [0.1, 0.2],
    "is 3 things: give samples and their rate": (torch.zeros(3), 8000, 1),
    r"has the shape \(2, 2, 2\): give": torch.zeros(2, 2, 2),
    "samples of type torch.uint8: give": torch.zeros(9, dtype=torch.uint8),
    "samples of type torch.int64: give": torch.zeros(9, dtype=torch.int64),
    "samples of type <U1: give": np.array(["a"]),
    "samples that are not finite: replace": torch.tensor([0.0, math.nan]),
    "samples up to 3000: divide": torch.tensor([3000.0, -2]),
    "has the rate 7: give whole samples": (torch.zeros(9), 7),
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_no_sound_is_refused_by_its_number(message):
    with pytest.raises(ValueError, match=rf"^Sound 2 of 2 .*{message}"):
        LogMel().encode([torch.zeros(9), BAD[message]])


def test_features_come_back_from_json():
    features = LogMel(rate=16000, bins=20, window=0.02, highest=7000.0, centre=True, steps=60)
    again = LogMel.from_plain(json.loads(json.dumps(features.to_plain())))
    assert (again, again.shape) == (features, SeriesShape(21, 60))
    sound = torch.randn(5000) * 0.1
    assert torch.equal(again.encode([sound]), features.encode([sound]))
    plain = features.to_plain()
    for broken in ({**plain, "more": 1}, {**plain, "rate": "16000"}, {k: plain[k] for k in list(plain)[1:]}, []):
        with pytest.raises(ValueError, match=r"Log-mel features are described by bins|has the rate 16000: give"):
            LogMel.from_plain(broken)
