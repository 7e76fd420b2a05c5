"""Words by number."""

import json

import pytest
import torch
from jsonargparse import ArgumentParser

from lit_metanas.inputs import TextPreprocessing, TokenShape
from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.inputs.tokens import UNKNOWN, split_words
from lit_metanas.io.settings import settings_of
from lit_metanas.kinds import Docstrings, SentenceSource, Words
from lit_metanas.tasks import check_task, draw_task

TEXTS = ["Book a table, please!", "book a flight", "Please book the flight to Rome."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't panic: it’s 5 o'clock!", ["don't", "panic", ":", "it’s", "5", "o'clock", "!"]),
        ("  \t\n", []),
        ("ÜBER-GROSS", ["über", "-", "gross"]),
        ("u\u0308ber", ["über"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("«¿qué?»", ["«", "¿", "qué", "?", "»"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("snake_case 3.5", ["snake_case", "3", ".", "5"]),
        ("J\u030can H\u0331a", ["\u01f0an", "\u1e96a"]),  # composed as small letters alone
    ],
)
def test_words_and_marks_are_told_apart(text, words):
    assert split_words(text) == words


def test_the_vocabulary_is_that_of_the_most_frequent_words():
    words = Words(least=1).fitted(TEXTS).words
    assert words[:5] == ("book", "a", "flight", "please", "!")  # 3, then 2 by the alphabet, then 1
    assert Words(least=2).fitted(TEXTS).words == ("book", "a", "flight", "please")
    assert Words(size=2, least=1).fitted(TEXTS).words == ("book", "a")
    assert Words(least=2).fitted(TEXTS).shape == TokenShape(6, 32)


def test_a_fitted_vocabulary_stays():
    fitted = Words(least=2).fitted(TEXTS)
    assert fitted.fitted(["other other words words"]) is fitted


def test_nothing_to_count_is_told():
    with pytest.raises(ValueError, match=r"no word stands least = 2 times .* give meta-train classes"):
        Words().fitted(["once"])


def test_sentences_are_padded_and_cut():
    words = Words(least=2, steps=3).fitted(TEXTS)
    found = words.encode(["book", "a flight please please please"])
    assert found.dtype == torch.int64
    assert found.tolist() == [[2, PADDING, PADDING], [3, 4, 5]]


@pytest.mark.parametrize("text", ["", "   ", "unheard", "\U0001f600", "\x00", "\ud800", "ﷺ", "\u200b"])
def test_nothing_is_an_error_to_predict(text):
    found = Words(least=2).fitted(TEXTS).encode([text])
    assert set(found[0].tolist()) <= {PADDING, UNKNOWN}
    assert step_mask(found).sum() >= 1
    assert found[0, 0] == UNKNOWN


def test_a_long_text_takes_no_long_time():
    words = Words(least=2, steps=4).fitted(TEXTS)
    assert words.encode(["book " * 20_000_000]).tolist() == [[2, 2, 2, 2]]


def test_letters_that_are_composed_when_small_are_words_of_a_vocabulary():
    words = Words(least=1).fitted(["J\u030can", "\u01f0an"])
    assert words.words == ("\u01f0an",)
    assert words.encode(["J\u030cAN"]).tolist() == words.encode(["\u01f0an"]).tolist()


@pytest.mark.parametrize("other", [3, None])
def test_what_is_no_text_is_refused(other):
    with pytest.raises(ValueError, match=f"An example is a {type(other).__name__}, not a text"):
        Words(least=2).fitted(TEXTS).encode(["book", other])


def test_a_sentence_is_shown_again():
    words = Words(least=1).fitted(TEXTS)
    assert words.show(words.encode(["Please book the (flight), a table!", "a TRAIN to Rome."])) == [
        "please book the � flight �, a table!",
        "a � to rome.",
    ]


def test_plain_values_give_the_same_back():
    words = Words(size=9, least=1, steps=5).fitted(TEXTS)
    again = Words.from_plain(json.loads(json.dumps(words.to_plain())))
    assert again == words
    assert torch.equal(again.encode(TEXTS), words.encode(TEXTS))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 0}, "steps = 0 must be a whole number, from 1 to"),
        ({"steps": 10**9}, "steps = 1000000000 must be"),
        ({"steps": True}, "steps = True"),
        ({"size": "9"}, "size = 9 must be a whole number"),
        ({"least": None}, "least = None"),
        ({"words": "book"}, "has no list 'words'"),
        ({"words": ["Book"]}, "'Book' is not a lower-cased word"),
        ({"words": [3]}, "3 is not a lower-cased word"),
        ({"words": [None]}, "None is not a lower-cased word"),
        ({"words": ["a b"]}, "'a b' is not a lower-cased word"),
        ({"words": ["a", "a"]}, "or one twice"),
        ({"words": ["a", "b"], "size": 1}, "more than 1 words"),
    ],
)
def test_damaged_plain_values_are_told(change, told):
    with pytest.raises(ValueError, match=told):
        Words.from_plain({"size": 9, "least": 1, "steps": 5, "words": ["book"]} | change)
    with pytest.raises(ValueError, match="has no 'steps'"):
        Words.from_plain({"size": 9, "least": 1, "words": ["book"]})


def test_a_source_counts_the_words_of_its_meta_train_classes():
    sentences = {name: [f"{name} thing {i}" for i in range(8)] for name in ("red", "green", "blue", "grey")}
    source = SentenceSource(sentences, train=["red", "blue"], test=["green", "grey"], preprocessing=Words(steps=4))
    assert set(source.preprocessing.words) == {"red", "blue", "thing", *"01234567"}
    task = draw_task(source, way=2, train=3, val=2, test=3)
    check_task(task)
    assert task.preprocessing is source.preprocessing
    assert task.shape == TokenShape(13, 4)
    assert (task.train.inputs[:, 0] == UNKNOWN).all()  # the names of the meta-test classes
    assert (
        source.inputs("train", 0, [2, 0]).tolist()
        == source.preprocessing.encode(["red thing 2", "red thing 0"]).tolist()
    )
    assert source.instances("train", 0, held_out=True) == 0


def test_a_vocabulary_from_elsewhere_is_taken():
    words = Words(least=2).fitted(TEXTS)
    sentences = {"a": ["book one"], "b": ["book two"]}
    assert SentenceSource(sentences, test=["a", "b"], preprocessing=words).preprocessing is words


def test_sources_with_other_vocabularies_are_told_apart():
    sentences = {"a": ["one one"], "b": ["two two"]}
    make = lambda steps: SentenceSource(sentences, preprocessing=Words(steps=steps))  # noqa: E731
    assert settings_of(make(3)) == settings_of(make(3)) != settings_of(make(4))


def test_a_configuration_gives_the_preprocessing():
    parser = ArgumentParser()
    parser.add_class_arguments(Docstrings, "source")
    chosen = {"class_path": "lit_metanas.kinds.Words", "init_args": {"steps": 7, "least": 3}}
    config = parser.parse_object({"source": {"preprocessing": chosen}})
    assert parser.instantiate(config).source._given == Words(steps=7, least=3)


def test_the_base_needs_tokens_alone():
    class Letters(TextPreprocessing):
        kind = "letters"
        steps = 2
        shape = TokenShape(300, 2)

        def token_lists(self, texts):
            return [[ord(letter) for letter in text] for text in texts]

        def show(self, inputs):
            return []

        def to_plain(self):
            return {}

        @classmethod
        def from_plain(cls, plain):
            return cls()

    assert Letters().fitted(["x"]).encode(["abc", ""]).tolist() == [[97, 98], [UNKNOWN, PADDING]]
