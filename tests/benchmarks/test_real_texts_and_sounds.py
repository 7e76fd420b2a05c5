"""Searched networks against fixed ones on texts and sounds: each row at a tiny scale, on files that are made up."""

import gzip
import json
from functools import partial

import numpy as np
import pytest
import torch

import lit_metanas as lm


@pytest.fixture
def few_shot_runs(load, monkeypatch):
    """Each network with its budget, its cost, what a step of it costs, and the seed of its last training's episodes."""
    found, few_shot = [], load("equal_flops").FewShot
    tested = few_shot._tested

    def kept(self, model, data):
        run = tested(self, model, data)
        images = data.tasks_per_step * data.way * (data.shot + data.query)
        step = 3 * images * self.space.cost(run.architecture, data.shape, data.way).flops
        found.append((self.flops, run.flops, step, data.seed))
        return run

    monkeypatch.setattr(few_shot, "_tested", kept)
    return found


@pytest.fixture
def texts(load, monkeypatch):
    module = load("real_texts")
    for name in ("INTENTS", "FEW_SHOT_INTENTS", "SPELLING"):
        monkeypatch.setitem(getattr(module, name), "widths", (4, 8))
    return module


def compared(output):
    return json.loads(output.read_text())["comparisons"]


def vectors(folder, words):
    tokenizers = pytest.importorskip("tokenizers")
    safetensors = pytest.importorskip("safetensors.torch")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0} | {w: i for i, w in enumerate(words, 1)}, "?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    safetensors.save_file({"v": torch.randn(len(words) + 1, 4)}, folder / "vectors.safetensors")
    return ["--tokenizer", str(folder / "tokenizer.json"), "--vectors", str(folder / "vectors.safetensors")]


def write_clinc(folder):
    """A hundred intents in ten domains; each has a word of its own in all of its sentences."""
    intents = [f"i{place}" for place in range(100)]
    rows = [[f"word{place} number {n}", place] for place in range(100) for n in range(20)]
    parts = {"train": [r for n, r in enumerate(rows) if n % 20 < 12], "val": rows[::10], "test": rows[5::10]}
    rest = [row for row in rows if row not in parts["train"] + parts["val"] + parts["test"]]
    parts["test"] += rest
    domains = {f"d{d}": intents[10 * d : 10 * d + 10] for d in range(10)}
    (folder / "clinc150.json").write_text(json.dumps({"intents": intents, "domains": domains, **parts}))
    return [f"word{place}" for place in range(100)]


@pytest.mark.slow
def test_every_network_of_intents_spends_the_same_flops(texts, tmp_path, monkeypatch, few_shot_runs, fixed_trainings):
    corpora, tf_idf = [], texts.tf_idf
    monkeypatch.setattr(texts, "tf_idf", lambda corpus: tf_idf(corpora.append(corpus) or corpus))
    files = vectors(tmp_path, write_clinc(tmp_path))
    output = tmp_path / "found.json"
    small = ["--scale", "3e-4", "--episodes", "2", "--seeds", "0", "1", "--output", str(output)]
    texts.main(["--data", str(tmp_path), *files, "--rows", "clinc_few_shot", "clinc_full", *small])
    few, many, whole = compared(output)
    assert (few["problem"][-6:], many["problem"][-6:]) == ("1-shot", "5-shot")
    assert set(few["scores"]) == {"searched", "convolution", "mean of embeddings", "tf-idf", "static vectors"}
    assert few["scores"]["tf-idf"] == [100.0]  # each intent has its own word
    assert {text.partition(" ")[0] for text in corpora[0]} == {f"word{place}" for place in range(60)}  # meta-training
    assert all(len(few["scores"][name]) == 2 for name in ("searched", "convolution"))
    assert len(few_shot_runs) == 6
    assert all(0 <= spent - budget < step for budget, spent, step, _ in few_shot_runs)
    assert few["cost"]["searched"] == sum(spent for _, spent, _, _ in few_shot_runs[:2]) / 2
    assert [seed for *_, seed in few_shot_runs] == [1000, 1001, 0, 1, 0, 1]  # a search has seen those from 0
    assert whole["scores"]["logistic regression, bag of words"] == [100.0]
    assert len(fixed_trainings) == 2
    assert all(abs(spent - asked) <= epoch / 2 for asked, spent, epoch in fixed_trainings)
    assert whole["cost"]["searched"] == sum(asked for asked, _, _ in fixed_trainings) / 2
    assert whole["cost"]["convolution"] == sum(spent for _, spent, _ in fixed_trainings) / 2
    assert len(whole["notes"]["found"]) == 2


def test_languages_are_told_by_their_letters(texts, tmp_path, capsys):
    pytest.importorskip("tokenizers")
    pairs = {f"l{k}": [[f"{chr(0x4E00 + k) * 3} {n}", f"english {k} {n}"] for n in range(20)] for k in range(90)}
    (tmp_path / "tatoeba112.json.gz").write_bytes(gzip.compress(json.dumps({"pairs": pairs}).encode()))
    output = tmp_path / "found.json"
    small = ["--scale", "3e-4", "--episodes", "2", "--seeds", "0", "--output", str(output)]
    texts.main(["--data", str(tmp_path), "--rows", "clinc_few_shot", "languages", *small])
    assert "clinc_few_shot is skipped: it needs --tokenizer and --vectors." in capsys.readouterr().out
    one, five = compared(output)
    assert one["scores"]["tf-idf of letters"] == five["scores"]["tf-idf of letters"] == [100.0]


@pytest.fixture
def sounds(load, monkeypatch):
    module = load("real_sounds")
    monkeypatch.setattr(module, "WIDTHS", (4, 8))
    return module


def test_each_speaker_of_the_digits_but_the_last_is_tested_in_turn(sounds):
    speakers = [name for name in "abcdef" for _ in range(10)]
    series = [torch.arange(60.0)[:, None, None].expand(60, 2, 3) + 100 * copy for copy in range(3)]
    labels, tested = [*range(10)] * 6, ""
    for pair in range(6):
        task = sounds.digits_task(series, labels, speakers, pair)
        assert (len(task.train), len(task.val), len(task.test)) == (120, 30, 10)  # other speeds are not tested
        rows = {name: part.inputs[:, 0, 0].int() for name, part in vars(task).items() if isinstance(part, lm.Split)}
        assert all(torch.equal(part % 10, getattr(task, name).labels) for name, part in rows.items())
        heard = {name: "".join(sorted({speakers[row % 100] for row in part})) for name, part in rows.items()}
        assert heard["val"] == "f"
        assert "".join(sorted("".join(heard.values()))) == "abcdef"
        tested += heard["test"]
    assert tested == "abcdea"


def test_quiet_recordings_are_made_as_loud_as_others(sounds):
    assert np.allclose(sounds.levelled(np.array([-32768, 16384], np.int16)), [-0.9, 0.45])
    assert np.allclose(sounds.levelled(np.array([600, -300], np.int16)), [0.9, -0.45])
    assert not sounds.levelled(np.zeros(3, np.int16)).any()


def test_words_are_learned_from_synthesised_sounds_and_chosen_by_recorded_ones(sounds, tmp_path):
    features = lm.LogMel(steps=90)
    made = lm.SpokenWords(features=features, cache=str(tmp_path), words=(3, 1, 0), pool=2, ordinary=2, held_out=0)
    series = torch.arange(6.0)[:, None, None].expand(6, *features.shape)
    recorded = sounds.Clips("own", series, [0, 1] * 3, ["yes", "no"], ["all"] * 2, [False] * 6, features)
    source = sounds.MadeAndRecorded(made, recorded)
    source.prepare()
    assert (source.shape, source.preprocessing) == (features.shape, features)
    assert (source.classes("train"), source.classes("val")) == (made.classes("train"), ("yes", "no"))
    assert (source.episode_instances("train", 0), source.episode_instances("val", 0)) == (2, 3)
    assert source.inputs("val", 1, [2])[0, 0, 0] == 5
    assert torch.equal(source.inputs("train", 2, [1]), made.inputs("train", 2, [1]))


def test_rows_of_sounds_are_measured(sounds, tmp_path, monkeypatch, fixed_trainings):
    generator = np.random.default_rng(0)
    clips = [(label, who) for label in range(10) for who in range(6) for _ in range(2)]
    tones = [9000 * np.sin(np.arange(800) * (0.2 + label / 5) + generator.normal()) for label, _ in clips]
    np.savez(
        tmp_path / sounds.FSDD,
        audio=np.concatenate(tones).astype(np.int16),
        offsets=np.arange(len(clips) + 1, dtype=np.uint32) * 800,
        label=np.array([label for label, _ in clips], np.uint8),
        speaker=np.array([who for _, who in clips], np.uint8),
        speaker_names=np.array(list("abcdef")),
    )
    np.savez(
        tmp_path / sounds.WAKE_WORDS,
        audio=generator.integers(0, 256, (120, 900)).astype(np.uint8),
        label=np.repeat(np.arange(6), 20).astype(np.uint8),
        names=np.array([f"word{place}" for place in range(6)]),
        source=np.array(["A:1"] * 120),
    )
    monkeypatch.setattr(sounds, "WORDS", (20, 0, 0))
    words = partial(lm.SpokenWords, cache=str(tmp_path), pool=12, ordinary=20, held_out=20)
    monkeypatch.setattr(sounds.lm, "SpokenWords", words)
    output = tmp_path / "found.json"
    small = ["--scale", "1e-3", "--episodes", "2", "--seeds", "0", "--output", str(output)]
    sounds.main(["--data", str(tmp_path), *small])
    digits, one, _ = compared(output)
    assert digits["scores"]["logistic regression, log-mel"][0] > 80  # the tones of digits
    assert len(fixed_trainings) == 2  # a pair has a training
    assert all(abs(spent - asked) <= epoch / 2 for asked, spent, epoch in fixed_trainings)
    means = [sum(flops) / 2 for flops in list(zip(*fixed_trainings, strict=True))[:2]]
    assert digits["cost"] == dict(zip(("searched", "separable convolutions"), means, strict=True))
    assert set(one["scores"]) == {"searched", "convolutions", "separable convolutions", "mean spectra"}
