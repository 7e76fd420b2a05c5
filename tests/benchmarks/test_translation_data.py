"""Readers of real pairs and their baselines, on files that are made up, and on the real ones where there are some."""

import gzip
import importlib
import json
from itertools import product
from pathlib import Path

import pytest

import lit_metanas
from lit_metanas.tasks import check_task
from lit_metanas.tasks.translation.text_pairs import TextPair, text_key

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
SUBSETS = ("train", "val", "test")
SOUNDS = {"a": "ɑ", "b": "p", "c": "t s", "d": ""}


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("translation_data")


def spoken(word):
    return " ".join(SOUNDS[letter] for letter in word if SOUNDS[letter])


@pytest.fixture
def folder(tmp_path):
    words = [f"a{''.join(letters)}" for letters in product("abcd", repeat=3)]
    rows = [[word, spoken(word)] for word in words]
    parts = {"train": rows[::2], "dev": rows[1::4], "test": rows[3::4], "tier": "low"}
    numbers = {code: [[f"{code} {i}", f"number {i}"] for i in range(60)] for code in ("deu", "fra", "ell")}
    numbers["fra"] += numbers["fra"][:3]
    for name, data in (
        ("g2p20", {"languages": dict.fromkeys(("ady", "dut", "geo", "gre", "ice"), parts)}),
        ("tatoeba112", {"pairs": numbers}),
    ):
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    return tmp_path


def test_words_keep_their_parts(module, folder):
    languages = module.g2p(folder)
    assert sorted(languages) == ["ady", "dut", "geo", "gre", "ice"]
    assert [len(languages["geo"][subset]) for subset in SUBSETS] == [32, 16, 16]
    names = [set(module.tasks("g2p", folder, subset).names) for subset in SUBSETS]
    assert set.union(*names) == set(languages)
    assert sum(map(len, names)) == 5
    task = module.tasks("g2p", folder)[0]
    check_task(task)
    assert task.preprocessing.show(task.test.inputs[:1]) == [languages["ady"]["test"][0].source]


def test_an_english_sentence_is_in_one_part(module, folder):
    languages = module.tatoeba(folder)
    assert [sum(map(len, parts.values())) for parts in languages.values()] == [60, 60, 60]
    english = {
        subset: {text_key(pair.target) for parts in languages.values() for pair in parts[subset]} for subset in SUBSETS
    }
    assert sum(map(len, english.values())) == len(set.union(*english.values())) == 60
    assert len(english["train"]) > len(english["test"]) > 4


def test_edit_distances_are_those_of_the_definition(module):
    def distance(one, other):
        if not one or not other:
            return len(one) + len(other)
        same = one[0] == other[0]
        rest = (distance(one[1:], other), distance(one, other[1:]))
        return min(1 + min(rest), distance(one[1:], other[1:]) + (not same))

    texts = ["", "a", "kitten", "sitting", "sit", "ttik"]
    assert all(module.edit_distance(one, other) == distance(one, other) for one in texts for other in texts)


def test_the_nearest_source_gives_its_target(module):
    learned = [TextPair("kitten", "1"), TextPair("sitting", "2"), TextPair("dog", "3")]
    assert module.nearest(learned, ["mitten", "sittin", "dogs", "kitten"]) == ["1", "2", "3", "1"]
    assert module.most_frequent([*learned, TextPair("x", "3")], ["?", "kitten"]) == ["3", "3"]


def test_letters_become_their_phones(module, folder):
    parts = module.g2p(folder)["ady"]
    said = module.letter_by_letter(parts["train"], [pair.source for pair in parts["test"]])
    assert said == [pair.target for pair in parts["test"]]
    assert module.measures(said, [pair.target for pair in parts["test"]])["wrong"] == 0


def test_words_are_translated_by_themselves(module):
    learned = [
        TextPair(f"{one} {other}", f"{ein} {andere}")
        for one, ein in (("das", "the"), ("ein", "a"))
        for other, andere in (("haus", "house"), ("buch", "book"), ("auto", "car"))
    ]
    assert module.word_by_word(learned, ["ein haus", "Das neue Buch"]) == ["a house", "the neue book"]
    table = module.lexicon_of([(("a", "b"), ("x", "y")), (("a",), ("x",))], rounds=1)
    assert table == {"a": {"x": pytest.approx(0.75), "y": pytest.approx(0.25)}, "b": {"x": 0.5, "y": 0.5}}


def test_measures_agree_with_plain_counts(module):
    found = module.measures(["p a", "p t a", "p"], ["p a", "p t", "t"])
    assert found["wrong"] == pytest.approx(200 / 3, abs=0.01)
    assert found["word_error_rate"] == pytest.approx(100 * 2 / 5, abs=0.01)
    long = ["a sentence of some words", "another one of them"]
    assert module.measures(long, long) == {"wrong": 0.0, "word_error_rate": 0.0, "chrf": 100.0}


def test_absent_files_are_skipped_by_name(module, folder, capsys):
    (folder / "g2p20.json.gz").unlink()
    module.main(
        ["--data", str(folder), "--languages", "ell", "--sets", "g2p", "tatoeba", "--output", str(folder / "o")]
    )
    assert f"g2p is skipped: There is no file {folder / 'g2p20.json.gz'}" in capsys.readouterr().out
    rows = json.loads((folder / "o").read_text())
    assert [(row["language"], row["baseline"]) for row in rows] == [
        (code, name) for code in ("ell", "mean") for name in ("most frequent", "nearest", "word by word")
    ]


def test_real_files_are_read(module, data_folder):
    words, sentences = module.g2p(data_folder), module.tatoeba(data_folder)
    assert (len(words), len(sentences)) == (20, 112)
    assert sorted({len(parts["test"]) for parts in words.values()}) == [100, 1000]
    for languages in (words, sentences):
        for code, parts in languages.items():
            assert min(map(len, parts.values())) >= 10, code
            learned = {text_key(pair.source) for pair in parts["train"]}
            if languages is sentences:
                assert not learned & {text_key(pair.source) for pair in parts["test"]}, code
    said = module.letter_by_letter(words["ady"]["train"], [pair.source for pair in words["ady"]["test"]])
    assert 30 < module.measures(said, [pair.target for pair in words["ady"]["test"]])["wrong"] < 45
    task = module.tasks("tatoeba", data_folder)[0]
    check_task(task)
    assert len(task.test) > 10


def test_embedded_pairs_need_no_file(module, tmp_path):
    pytest.importorskip("unicode_rbnf", reason="needs the extra translation")
    numbers = module.number_words(tmp_path / "absent")
    assert len(numbers) >= 5
    parts = numbers["nl"]
    said = module.letter_by_letter(parts["train"], [pair.source for pair in parts["test"]])
    assert module.measures(said, [pair.target for pair in parts["test"]])["wrong"] > 50  # Dutch joins its words
