"""Readers of real data sets and the tasks made of them, on files of their form, and on the real ones where they are."""

import gzip
import json

import numpy as np
import pytest
import torch

import lit_metanas as lm

SMALL = lm.kinds.LogMel(bins=8, steps=20)


@pytest.fixture
def module(load):
    return load("data_files")


@pytest.fixture
def texts(tmp_path):
    intents = [f"intent{i}" for i in range(10)]
    rows = [[f"{'word' * i} {part} sentence", i] for i in range(10) for part in "ab"]
    clinc = {"intents": intents, "train": [*rows, rows[0]], "val": [], "test": [["last", 9]], "oos_test": [["x", -1]]}
    (tmp_path / "clinc150.json").write_text(json.dumps(clinc))
    pairs = {"deu": [["Guten Tag", "Good day"], ["Nein", "No"]], "fra": [["Bonjour", "Good day"], ["Oui", "Yes"]]}
    hwu = {"train": {f"s{i}_query": ["a", "b"] for i in range(20)}, "test": {"s0_query": ["c"]}}
    spoken = {name: [[["Add ", ""], [name, "slot"]]] for name in ("Add", "Book")}
    for name, data in (
        ("tatoeba112", {"pairs": pairs}),
        ("hwu64", hwu),
        ("snips7", {"train": spoken, "validate": spoken}),
    ):
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    return tmp_path


def test_each_text_of_a_class_is_there_once(module, texts):
    clinc = module.clinc150(texts)
    assert [len(own) for own in clinc.values()] == [2] * 9 + [3]
    assert clinc["intent9"][-1] == "last"
    assert module.hwu64(texts)["s0_query"] == ["a", "b", "c"]
    assert module.snips(texts) == {"Add": ["Add Add"], "Book": ["Add Book"]}
    with pytest.raises(FileNotFoundError, match=r"There is no file .*xsid\.json\.gz"):
        module.read_data(texts, "xsid.json.gz")


def test_an_english_sentence_is_translated_once(module, texts):
    found = [text for own in module.tatoeba(texts).values() for text in own]
    assert len(found) == 3
    assert len({"Guten Tag", "Bonjour"} & set(found)) == 1


def test_wake_words_leave_out_other_speech_and_what_is_there_twice(module, load, tmp_path):
    audio = np.random.default_rng(0).integers(0, 256, (8, 900)).astype(np.uint8)
    audio[7] = audio[0]
    file = tmp_path / module.WAKE_WORDS
    np.savez(
        file,
        audio=audio,
        label=np.array([0, 1, 2, 2, 1, 0, 3, 0], np.uint8),
        names=np.array(["alexa", "hal", "amelia", "(other en)"]),
        source=np.array(["A:1", "A:2", "B:3", "B:4", "A:5", "A:6", "B:7", "A:8"]),
    )
    series, words, origins = module.wake_words(file, SMALL)
    assert words == ["alexa", "hal", "amelia", "amelia", "hal", "alexa"]
    assert origins == {"alexa": "A", "hal": "A", "amelia": "B"}
    assert torch.equal(series[1:2], SMALL.encode([(module.mu_law_sound(audio[1]), module.RATE)]))
    tasks = load("mixed_tasks")
    task = tasks.wake_words(tasks.Folders(tmp_path, tmp_path), "A", (1, 1, 0))
    assert (task.way, len(task.train), len(task.test)) == (2, 2, 0)


def test_examples_are_divided_by_class_and_stand_in_one_part(load):
    labels = [0] * 30 + [1] * 10
    rows = load("mixed_tasks").divide(labels, (8, 4, 10))
    counts = {part: np.bincount(np.array(labels)[own]).tolist() for part, own in rows.items()}
    assert counts == {"train": [8, 4], "val": [4, 2], "test": [10, 4]}  # the second class has too few
    together = [row for own in rows.values() for row in own]
    assert len(set(together)) == len(together)


def test_series_of_the_archives_are_read(load, tmp_path):
    tasks = load("mixed_tasks")
    folder = tmp_path / "Toy"
    folder.mkdir()
    lines = [f"{n},{n + 1},{n + 2},{n + 3}:1,1,3,3:{'ab'[n % 2]}" for n in range(10)]
    (folder / "Toy_TRAIN.ts").write_text("\n".join(["# words", "@data", *lines[:6]]))
    (folder / "Toy_TEST.ts").write_text("\n".join(["@data", "1,2:5,7:a", *lines[6:]]))
    series, labels = tasks.read_series(folder)
    assert (len(series), series[0].shape, series[6].shape) == (11, (2, 4), (2, 2))
    assert labels == [0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1]
    task = tasks.archive(tasks.Folders(tmp_path, tmp_path), "Toy", 2, (3, 1, 1))
    assert task.shape == lm.SeriesShape(3, 2)
    inputs = task.train.inputs
    inside = inputs[:, -1] > 0
    assert float(inputs[:, 0][inside].mean()) == pytest.approx(0, abs=1e-6)
    assert float(inputs[:, 1][inside].std(correction=0)) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_real_files_are_read(load, data_folder):
    tasks, pools = load("mixed_tasks"), load("shipped_pools")
    folders = tasks.Folders(data_folder, data_folder)
    problems = [problem for own in pools.PROBLEMS.values() for problem in own]
    assert len({problem.id for problem in problems}) == len(problems)
    for problem in problems:
        if problem.dataset not in tasks.ARCHIVES:
            task = problem.draw(folders)
            assert task.id == problem.id
            assert len(task.train) >= 40
            assert set(task.test.labels.tolist()) == set(range(task.way))
