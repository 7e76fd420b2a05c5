"""The references learn what is easy; the development sets as files; the table of their runs."""

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("sklearn")
soundfile = pytest.importorskip("soundfile")

COLOURS = {"red": (200, 40, 40), "blue": (40, 40, 200)}


def images(folder: Path, each: int = 12) -> Path:
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for place in range(each):
            pixels = np.random.default_rng(place).integers(-40, 40, (8, 8, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / label / f"{place}.png")
    return folder


def sounds(folder: Path, each: int = 10) -> Path:
    for label, tone in (("low", 300), ("high", 1500)):
        (folder / label).mkdir(parents=True)
        for place in range(each):
            time = np.arange(3000 + 100 * place) / 8000
            noise = np.random.default_rng(place).normal(0, 0.05, len(time))
            soundfile.write(folder / label / f"{place}.wav", 0.5 * np.sin(2 * np.pi * tone * time) + noise, 8000)
    return folder


def table(file: Path, columns: str, rows: list[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return file


def texts(file: Path) -> Path:
    words = {"fruit": "an apple and a ripe pear", "tools": "the hammer or some old nails"}
    rows = [f'"{text}, number {place}",{label}' for place in range(40) for label, text in words.items()]
    return table(file.with_suffix(".csv"), "text,label", rows)


def rows(file: Path) -> Path:
    numbers = np.random.default_rng(0).normal(size=60)
    return table(
        file.with_suffix(".csv"),
        "size,colour,label",
        [f"{'?' if place % 9 == 0 else number:},{'red' if number > 0 else 'blue'},{number > 0}"
         for place, number in enumerate(numbers)],
    )  # fmt: skip


WRITERS = {"images": images, "sounds": sounds, "texts": texts, "rows": rows}


@pytest.fixture(autouse=True)
def _one_thread():
    """References take all cores; other tests have one thread."""
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", WRITERS)
def test_references_learn_what_is_easy(kind, load, tmp_path, monkeypatch):
    clock = SimpleNamespace(perf_counter=count().__next__)  # a second for each step
    monkeypatch.setattr(load("references.clock_training"), "time", clock)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    reference = load(f"references.{load('auto_references').MODULES[kind]}")
    train, test = (reference.read(WRITERS[kind](tmp_path / part)) for part in ("train", "test"))
    for model in reference.MODELS:
        assert reference.run(train, test, 40, 0, model) > 0.9, model


def test_a_ridge_on_convolutions_learns_frequencies(load):
    reference = load("references.series_ridge")
    labels = np.arange(40) % 2
    places = np.arange(50)
    waves = np.stack([np.sin(places * (0.3 + 0.3 * label) + shift) for shift, label in enumerate(labels)])
    series = torch.from_numpy(np.stack([waves, np.random.default_rng(0).normal(size=waves.shape)], 1)).float()
    parts = [(series[rows], labels[rows].tolist()) for rows in (slice(30), slice(30, None))]
    assert reference.run(*parts, 1.0, 0) == 1.0
    kernels = reference.kernels()
    assert kernels.shape == (84, 1, 9)
    assert len({tuple(kernel.flatten().tolist()) for kernel in kernels}) == 84
    assert not kernels.sum(2).any()


def test_a_training_ends_with_the_clock_or_the_epochs(load):
    training = load("references.clock_training")
    seen = []
    x, y = torch.rand(10, 3), torch.arange(10) % 2

    def change(own):
        seen.append(own)
        return own

    training.train_by_clock(torch.nn.Linear(3, 2), x, y, 1e9, change, batch=4, epochs=3)
    assert [len(own) for own in seen] == [5] * 6
    for first, second in zip(seen[::2], seen[1::2], strict=True):  # an epoch has each example once
        assert torch.equal(torch.cat([first, second]).sum(1).sort().values, x.sum(1).sort().values)


def test_a_set_is_written_once_and_divided(load, tmp_path, monkeypatch):
    sets = load("development_sets")
    with ZipFile(tmp_path / "sign_digits.zip", "w") as archive:
        for label in "012":
            for place in range(10):
                archive.writestr(f"sign_digits/{label}/{place}.jpg", f"{label} {place}")
    with ZipFile(tmp_path / "texts.zip", "w") as archive:
        for part, number in (("train", 5), ("val", 3), ("test", 2)):
            lines = [f'"{part}, {place}",{"ab"[place % 2]}' for place in range(number)]
            archive.writestr(f"tweet_irony/{part}.csv", "\n".join(["text,label", *lines]))
    folders = load("mixed_tasks").Folders(tmp_path, tmp_path)
    train, test = sets.written("hand signs", folders, tmp_path / "files")
    found = [
        {file.relative_to(part).as_posix(): file.read_text() for file in part.glob("*/*")} for part in (train, test)
    ]
    assert [len(own) for own in found] == [24, 6]
    assert not found[0].keys() & found[1].keys()
    assert all(content == f"{name[0]} {name[2:-4]}" for own in found for name, content in own.items())
    train, test = sets.written("irony", folders, tmp_path / "files")
    assert train.read_text().splitlines()[:3] == ["text,label", '"train, 0",a', '"train, 1",b']
    assert [len(part.read_text().splitlines()) for part in (train, test)] == [9, 3]
    monkeypatch.setattr(sets, "SETS", dict.fromkeys(sets.SETS))
    with pytest.raises(AttributeError):
        sets.written("news", folders, tmp_path / "files")


def test_the_table_tells_of_the_best_reference(load, tmp_path, capsys):
    module = load("auto_references")
    file = tmp_path / "runs.jsonl"
    scores = {
        ("german", "auto"): (70, 74), ("german", "HistGradientBoosting"): (71, 73), ("german", "ExtraTrees"): (60, 61),
        ("sonar", "auto"): (80, 82), ("sonar", "HistGradientBoosting"): (70, 70), ("sonar", "ExtraTrees"): (79, 78),
        ("glass", "auto"): (90, 90),
    }  # fmt: skip
    with file.open("w") as stream:
        for (data, method), values in scores.items():
            for seed, value in enumerate(values):
                row = module.Row(data, "rows", method, 1.0, seed, float(value), 60.0, 100)
                stream.write(json.dumps(vars(row)) + "\n")
    module.main(["table", "--results", str(file)])
    printed = capsys.readouterr().out
    assert "| german | 72.0 | 72.0 | 60.5 | +0.0 [-12.7, +12.7] |" in printed
    assert "| sonar | 81.0 | 70.0 | 78.5 | +2.5 [-16.6, +21.6] |" in printed
    assert "| mean rank | 1.25 | 2.25 | 2.50 |" in printed
    assert "best reference of each set, 1 min: +1.2 [" in printed
    assert "glass" not in printed


def test_a_run_that_fails_is_told(load, monkeypatch, tmp_path):
    module = load("auto_references")
    monkeypatch.setattr(module, "ONE_RUN", "raise SystemExit(3)")
    folders = load("mixed_tasks").Folders(tmp_path, tmp_path)
    with pytest.raises(RuntimeError, match="auto on GunPoint ended with exit code 3"):
        module.measured(folders, tmp_path, ("GunPoint", "auto", 1.0, 0))
