"""Folders and tables of sound files: as a source, and as one target task."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lit_metanas.inputs import SeriesShape
from lit_metanas.inputs.batches import step_mask
from lit_metanas.kinds import AudioFolder, AudioFolderTask, LogMel
from lit_metanas.kinds.sounds.log_mel import features_for, whole_features_for
from lit_metanas.tasks import check_task, draw_task

SMALL = LogMel(steps=20)
WORDS = ("go", "no", "stop", "yes")
SPEAKERS = ("ann", "bob", "cid", "dan")


def tone(word: int, speaker: int, take: int, rate: int = 8000) -> np.ndarray:
    """A pitch a word, a length a speaker; no two alike."""
    return 0.3 * np.sin(2 * np.pi * (300 + 400 * word + take) * np.arange(rate // 20 * (speaker + 1)) / rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four words by four speakers, three times each, in files of two formats."""
    for label, word in enumerate(WORDS):
        (tmp_path / "sounds" / word).mkdir(parents=True)
        for speaker, name in enumerate(SPEAKERS):
            for take in range(3):
                suffix = "flac" if take == 1 else "wav"
                soundfile.write(tmp_path / "sounds" / word / f"{name}{take}.{suffix}", tone(label, speaker, take), 8000)
    return tmp_path / "sounds"


def lines(folder: Path, separator: str = ",") -> list[str]:
    rows = [separator.join(("file", "label", "speaker"))]
    for file in sorted(folder.glob("*/*.*")):
        rows.append(separator.join((str(file.relative_to(folder)), file.parent.name, file.name[:3])))
    return rows


@pytest.fixture
def table(folder: Path) -> Path:
    (folder.parent / "sounds.csv").write_text("\n".join(lines(folder)))
    return folder.parent / "sounds.csv"


def speaker_of(inputs: torch.Tensor) -> set[str]:
    """By the lengths that ``tone`` gives them."""
    return {SPEAKERS[round(steps / 5) - 1] for steps in step_mask(inputs).sum(1).tolist()}


def test_a_folder_is_a_source(folder):
    source = AudioFolder(str(folder), features=SMALL, train=["go"], test=["yes", "no"])
    assert (source.name, source.shape, source.preprocessing) == ("sounds", SeriesShape(41, 20), SMALL)
    assert source.classes("test") == ("yes", "no")
    assert (source.instances("test", 0), source.instances("test", 0, held_out=True)) == (12, 0)
    found = source.inputs("test", 1, [5, 0])
    files = sorted((folder / "no").iterdir())
    assert torch.equal(found, SMALL.encode([files[5], files[0]]))
    assert torch.equal(SMALL.encode([tone(1, 0, 0)])[0, -1], found[1, -1])
    task = draw_task(source, way=2, train=4, val=2, test=3)
    check_task(task)
    assert task.preprocessing == SMALL
    drawn = [AudioFolder(str(folder), fractions=(0.5, 0.25, 0.25)).classes(s) for s in ("train", "val", "test")]
    assert sorted(name for part in drawn for name in part) == list(WORDS)


def test_a_table_is_the_source_of_its_folder(folder, table):
    found, read = (AudioFolder(str(folder), *more, features=SMALL, test=["no"]) for more in ((str(table),), ()))
    assert torch.equal(found.inputs("test", 0, range(12)), read.inputs("test", 0, range(12)))
    table.write_text("\n".join(row for row in lines(folder) if ",label," in row or ",no," in row))
    with pytest.raises(ValueError, match=r"sounds\.csv' has 1 different labels: give files of two or more"):
        AudioFolder(str(folder), str(table))


def test_a_folder_is_a_task(folder):
    tasks = AudioFolderTask(str(folder), features=SMALL)
    assert (len(tasks), tasks.shape) == (1, SeriesShape(41, 20))
    task = tasks[0]
    check_task(task)
    assert (task.id, task.classes, task.preprocessing) == ("sounds", WORDS, SMALL)
    assert [len(part) for part in (task.train, task.val, task.test)] == [32, 8, 8]
    rows = {row.numpy().tobytes() for part in (task.train, task.val, task.test) for row in part.inputs}
    assert len(rows) == 48
    assert torch.equal(tasks[0].test.inputs, task.test.inputs)
    assert AudioFolderTask(str(folder), features=SMALL, val=0.0)[0].val is None
    with pytest.raises(IndexError):
        tasks[1]


def test_a_tables_speakers_are_in_one_part_each(folder, table):
    task = AudioFolderTask(str(folder), str(table), features=SMALL)[0]
    check_task(task)
    parts = [speaker_of(part.inputs) for part in (task.train, task.val, task.test)]
    assert set.union(*parts) == set(SPEAKERS)
    assert sum(map(len, parts)) == len(SPEAKERS)
    table.write_text("\n".join(row for row in lines(folder) if row.endswith(("ann", "bob", "speaker"))))
    few = AudioFolderTask(str(folder), str(table), features=SMALL)[0]  # too few to divide by
    assert [len(part) for part in (few.train, few.val, few.test)] == [16, 4, 4]


def test_other_rates_and_long_sounds_are_told_once(folder):
    for take in range(3):
        soundfile.write(folder / "go" / f"new{take}.wav", np.stack([tone(0, 3, take, 44100)] * 2, 1), 44100)
        soundfile.write(folder / "no" / f"new{take}.wav", np.tile(tone(1, 3, take), 3), 8000)
    source = AudioFolder(str(folder), features=SMALL, test=["go", "no"])
    heard = r"^Heard of {} sounds, by the task's 'features': up to 0.21 s at 8,000 samples a second; "
    with pytest.warns(UserWarning, match=heard.format(15) + "of other rates and resampled: 3.$"):
        found = source.inputs("test", 0, range(15))
    same = found[9] - found[12]  # 'dan0' and 'new0' are the same tone
    assert same[:-1, 2:-2].abs().median() < 0.1
    source.inputs("test", 1, range(15))  # a second warning would be an error
    cut = r"longer and cut: 3, up to 0.60 s \('.*new0.wav'\); of other rates and resampled: 3.$"
    with pytest.warns(UserWarning, match=heard.format(54) + cut) as told:
        AudioFolderTask(str(folder), features=SMALL)[0]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("rate", "seconds", "made"),
    [
        (4000, 0.3, LogMel()),
        (8000, 1.9, LogMel(steps=189)),
        (16000, 9.0, LogMel(rate=16000, window=0.1, hop=0.04, steps=224)),
        (16000, 70.0, LogMel(rate=16000, window=0.1, hop=0.04, steps=1499)),  # six windows, a minute
    ],
)
def test_features_are_of_the_rate_and_length_of_most_recordings(tmp_path, rate, seconds, made):
    for number in range(20):
        last = 2 * seconds if number == 19 else seconds
        own = rate if number % 4 else rate // 2
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(round(last * own), np.int16), own)
    whole = whole_features_for([*tmp_path.iterdir()])  # of which nothing may be cut
    assert (whole.rate, whole.steps) == (made.rate, min(6000, round(200 * seconds)))
    (tmp_path / "damaged.wav").write_text("no sound")
    assert features_for([*tmp_path.iterdir()]) == made


def test_many_long_recordings_get_fewer_steps(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000 * 9, np.int16), 8000)
    files = [tmp_path / "a.wav"] * 10
    inputs = 4 * 41 * len(files)
    found = []
    for steps in (226, 150, 10):
        monkeypatch.setattr("lit_metanas.kinds.sounds.log_mel.MOST_USUAL_BYTES", inputs * steps)
        found.append(features_for(files))
    assert [(made.hop, made.steps) for made in found] == [(0.04, 224), (0.04, 150), (0.04, 100)]


def test_a_window_has_250_steps_and_recordings_any_length(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(4000 * 130, np.int16), 4000)
    found = [features_for([tmp_path / "a.wav"], window) for window in (2.5, 20.0)]
    assert [(made.hop, made.window, made.steps) for made in found] == [(0.01, 0.025, 13_000), (0.08, 0.2, 1750)]
    for window in (2.0, 101.0):
        with pytest.raises(ValueError, match=f"window = {window:g} must be from 2.5 to 100 seconds"):
            features_for([tmp_path / "a.wav"], window)


def test_a_missing_package_is_no_damaged_file(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=r"^'.*/go/ann1.flac' needs the package soundfile .*'lit-metanas\[speech\]'"):
        AudioFolderTask(str(folder), features=SMALL, skip_unreadable=True)[0]


EMPTY, SILENT = (np.zeros(0), "is empty: record"), (np.zeros(900), "is silent: record")


def test_sounds_that_begin_in_silence_are_read(folder):
    soundfile.write(folder / "no" / "late.wav", np.concatenate([np.zeros(8000), tone(1, 3, 7)]), 8000)
    task = AudioFolderTask(str(folder), features=LogMel(steps=120))[0]
    assert len(task.train) + len(task.val) + len(task.test) == 49
    with pytest.warns(UserWarning, match=r"longer and cut: 1, up to 1.20 s \('.*late.wav'\)"):
        assert len(AudioFolder(str(folder), features=SMALL, test=["no"]).inputs("test", 0, range(13))) == 13


@pytest.mark.parametrize(("suffix", "samples", "message"), [("wav", *EMPTY), ("flac", *SILENT)])
def test_useless_recordings_are_named(folder, samples, message, suffix):
    soundfile.write(folder / "no" / f"a.{suffix}", samples, 8000)
    with pytest.raises(ValueError, match=rf"^'.*no/a.{suffix}' {message}"):
        AudioFolderTask(str(folder), features=SMALL)[0]
    with pytest.raises(ValueError, match=rf"^'.*no/a.{suffix}' {message}"):
        AudioFolder(str(folder), features=SMALL, test=["no"]).inputs("test", 0, [0])
