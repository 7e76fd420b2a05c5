"""Readers of real sentences, on files of their form that are made up, and on the real ones where there are some."""

import gzip
import json

import pytest
import torch

from lit_metanas.tasks import EpisodeDataModule, SentenceSource, Words

SUBSETS = ("train", "val", "test")


@pytest.fixture
def module(load):
    return load("text_data")


@pytest.fixture
def folder(tmp_path):
    intents = [f"intent{i}" for i in range(10)]
    rows = [[f"{'word' * i} {part} sentence", i] for i in range(10) for part in "ab"]
    domains = {f"domain{i}": [intents[i]] for i in range(10)}
    clinc = {
        "intents": intents,
        "domains": domains,
        "train": rows,
        "val": [],
        "test": [["last", 9]],
        "oos_test": [["x", -1]],
    }
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


def test_domains_and_scenarios_are_kept_whole(module, folder):
    clinc = module.clinc150(folder)
    assert [clinc.classes(subset) for subset in SUBSETS] == [
        tuple(f"intent{i}" for i in part) for part in (range(6), range(6, 8), range(8, 10))
    ]
    assert clinc.sentences("test")["intent9"][-1] == "last"
    hwu = module.hwu64(folder)
    assert sum(len(hwu.classes(subset)) for subset in SUBSETS) == 20
    assert max(len(texts) for s in SUBSETS for texts in hwu.sentences(s).values()) == 3
    assert module.snips(folder).sentences("test") == {"Add": ["Add Add"], "Book": ["Add Book"]}


def test_an_english_sentence_is_translated_once(module, folder):
    tatoeba = module.tatoeba(folder)
    texts = [text for subset in SUBSETS for texts in tatoeba.sentences(subset).values() for text in texts]
    assert len(texts) == 3
    assert len({"Guten Tag", "Bonjour"} & set(texts)) == 1


def test_the_baseline_agrees_with_a_plain_computation(module):
    texts = {"a": ["red car", "red bike"], "b": ["blue boat", "blue ship"]}
    source = SentenceSource(texts, test=["a", "b"], preprocessing=Words(least=1))
    embed = module.tf_idf(text for part in texts.values() for text in part)
    found = embed(["red car", "red bike", "blue"])
    weights = torch.tensor([1 + torch.tensor(5 / (1 + n)).log() for n in (2, 1)])  # of "red" and "car"
    expected = float(weights[0] ** 2 / (weights**2).sum())
    assert float(found[0] @ found[1]) == pytest.approx(expected)
    assert float(found[0] @ found[2]) == 0
    assert module.accuracy(source, embed, way=2, shot=1, query=1, episodes=5) == (100.0, 0.0)


def test_a_baseline_gets_the_episodes_of_the_networks(module):
    texts = {f"c{label}": [f"{label} number{n}" for n in range(9)] for label in range(6)}
    words = Words(least=1).fitted(text for part in texts.values() for text in part)
    source = SentenceSource(texts, train=["c0", "c1"], test=["c2", "c3", "c4", "c5"], preprocessing=words)
    data, told = EpisodeDataModule(source, way=3, shot=2, query=4, test_episodes=5), []

    def embed(sentences):
        told.append(sentences)
        return torch.eye(6)[[int(text[0]) for text in sentences]]

    assert module.same_episodes(data, embed) == 100.0
    assert len(told) == 5
    for index, sentences in enumerate(told):
        episode = data.stream("test")[0, index]
        inputs = torch.cat([episode.support.inputs, episode.query.inputs])
        assert torch.equal(words.encode(sentences), inputs)
    half = torch.eye(3)[[0, 0, 1, 1, 2, 2, *(0, 0, 1, 2), *(1, 1, 0, 2), *(2, 2, 0, 1)]]
    assert module.same_episodes(data, lambda sentences: half) == pytest.approx(50.0)


def test_absent_files_are_skipped_by_name(module, folder, capsys):
    (folder / "snips7.json.gz").unlink()
    module.main(
        ["--data", str(folder), "--sources", "snips", "tatoeba", "--episodes", "2", "--output", str(folder / "o")]
    )
    assert f"snips is skipped: There is no file {folder / 'snips7.json.gz'}" in capsys.readouterr().out
    assert json.loads((folder / "o").read_text()) == []


def test_real_files_are_read(module, data_folder):
    found = {name: make(data_folder, Words()) for name, make in module.SOURCES.items()}
    counts = {name: [len(source.classes(subset)) for subset in SUBSETS] for name, source in found.items()}
    assert sum(counts["clinc150"]) == 150
    assert sum(counts["hwu64"]) == 64
    assert counts["snips"] == [0, 0, 7]
    assert sum(counts["tatoeba"]) == 112
    assert all(min(numbers) >= 5 for name, numbers in counts.items() if name != "snips")
    corpus = [text for s in SUBSETS for texts in found["clinc150"].sentences(s).values() for text in texts]
    accuracy, _ = module.accuracy(found["clinc150"], module.tf_idf(corpus), way=5, shot=5, episodes=40)
    assert 88 < accuracy < 97
