"""Recordings of several seconds, of other formats and rates: from the files to the script of an export."""

import csv
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from exported_script import answers

import lit_metanas as lm
from lit_metanas.cli.command_line import main


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two classes that a pitch above 4 kHz tells apart, after 1.1 seconds of silence; one file of 12 is longer."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for name, pitch in (("high", 6500.0), ("low", 5000.0)):
        (tmp_path / "late" / name).mkdir(parents=True)
        for number in range(12):
            seconds = 3.0 if (name, number) == ("low", 3) else 1.9
            time = np.arange(round(seconds * 16_000)) / 16_000
            tone = 0.4 * np.sin(2 * np.pi * pitch * time) + 0.02 * generator.standard_normal(len(time))
            suffix = ("ogg", "mp3", "aiff", "wav")[number % 4]
            soundfile.write(tmp_path / "late" / name / f"{number}.{suffix}", np.where(time < 1.1, 0, tone), 16_000)
    return "late"


def test_sounds_are_heard_whole_from_the_command_to_the_script(late: str, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert main(["auto", late, "--flops", "1e9", "--output", "out"]) == 0
        told = capsys.readouterr()
        assert main(["predict", "out", late, "--output", "found.csv"]) == 0
    heard = r"up to 1.9[0-9] s at 16,000 samples a second"
    assert re.search(f"auto: 'late': 24 sounds of 2 classes, heard for {heard}: 16 to learn from", told.err)
    assert "test accuracy: 100.0" in told.out
    cut, left = (str(each.message) for each in caught if "late/low/3.wav" in str(each.message))
    longer = r"longer and cut: 1, up to 3.00 s \('late/low/3.wav'\)\.$"
    assert re.search(rf"^Heard of 24 sounds, by the task's 'features': {heard}; {longer}", cut)
    assert re.search(
        "^'late/low/3.wav' lasts 3.00 s, and 1.9[0-9] s are read: the rest of longer sounds is left out", left
    )
    with Path("found.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert all(row["class"] in row["file"] for row in rows)
    files = [f"late/high/{number}.{suffix}" for number, suffix in enumerate(("ogg", "mp3", "aiff", "wav"))]
    exported = lm.load("out")
    found = torch.tensor([[row[name] for name in exported.classes] for row in answers("out/predict.py", *files)])
    torch.testing.assert_close(found, exported.predict(files), atol=1e-4, rtol=0)


def test_long_sounds_are_heard_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for name, pitch in (("high", 1500), ("low", 300)):
        Path("long", name).mkdir(parents=True)
        for number in range(12):
            time = np.arange(7 * 8000 - 800 * number) / 8000
            tone = np.where(abs(time - 0.5 * number) < 1, 0.4 * np.sin(2 * np.pi * pitch * time), 0)
            soundfile.write(
                Path("long", name, f"{number}.wav"), tone + 0.02 * generator.standard_normal(len(time)), 8000
            )
    result = lm.auto("long", window=3, flops=1.2e10, output="out", progress=False)
    assert result.test.inputs.shape[2] == 750
    assert result.test_accuracy == 1
    assert "window=3" in result.command
    files = [f"long/{name}/5.wav" for name in ("high", "low")]
    found = lm.load("out").predict(files)
    assert found.argmax(1).tolist() == [0, 1]
    by_script = [[row["high"], row["low"]] for row in answers("out/predict.py", *files)]
    torch.testing.assert_close(torch.tensor(by_script), found, atol=1e-4, rtol=0)
