"""Words, characters and byte pairs by number."""

import json
import pickle
import unicodedata
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st

from lit_metanas.inputs import TokenShape
from lit_metanas.inputs.preprocessing import UNKNOWN, split_words
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.kinds import BytePairs, Characters, TextSource, Words
from lit_metanas.kinds.texts.text_tokens import SINGLE_BYTES
from lit_metanas.tasks import check_task, draw_task

TEXTS = ["Book a table, please!", "book a flight", "Please book the flight to Rome."]
STEMS = ["low lower lowest", "new newer newest", "slow slower", "Straße", "большой больше"]


@pytest.fixture(scope="module")
def pairs():
    return BytePairs(size=300, steps=12).fitted(STEMS)


@pytest.fixture(params=["words", "characters", "byte pairs"])
def fitted(request, pairs):
    """One of each kind with a vocabulary."""
    made = {"words": Words(size=9, least=1, steps=5).fitted(TEXTS), "characters": Characters(steps=5).fitted(TEXTS)}
    return {**made, "byte pairs": pairs}[request.param]


def test_plain_values_give_the_same_back(fitted):
    again = type(fitted).from_plain(json.loads(json.dumps(fitted.to_plain())))
    assert again == fitted
    assert torch.equal(again.encode(TEXTS), fitted.encode(TEXTS))
    assert torch.equal(pickle.loads(pickle.dumps(fitted)).encode(TEXTS), fitted.encode(TEXTS))


def test_a_vocabulary_stays(fitted):
    assert fitted.fitted(["other other words words"]) is fitted
    assert fitted.shape == TokenShape(2 + len(fitted.vocabulary), fitted.steps)


@pytest.mark.parametrize("text", ["", "   ", "\U0001f600", "\x00", "\ud800", "ﷺ", "\u200b", "क़"])
def test_nothing_is_an_error_to_predict(fitted, text):
    found = fitted.encode([text, ""])
    assert found.max() < fitted.shape.vocabulary
    assert found[0, 0] != PADDING
    assert found[1].tolist() == [UNKNOWN] + (fitted.steps - 1) * [PADDING]


def test_what_is_no_text_is_refused(fitted):
    with pytest.raises(ValueError, match="An example is a int, not a text"):
        fitted.encode(["book", 3])


@pytest.mark.parametrize("made", [Words(least=2, steps=4).fitted(TEXTS), Characters(steps=4, characters="b")])
def test_a_long_text_takes_no_long_time(made):
    assert made.encode(["b" * 50_000_000])[0, 0] in (UNKNOWN, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't panic: it’s 5 o'clock!", ["don't", "panic", ":", "it’s", "5", "o'clock", "!"]),
        ("  \t\n", []),
        ("ÜBER-GROSS", ["über", "-", "gross"]),
        ("u\u0308ber", ["über"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("«¿qué?»", ["«", "¿", "qué", "?", "»"]),
        ("snake_case 3.5", ["snake_case", "3", ".", "5"]),
        ("J\u030can H\u0331a", ["\u01f0an", "\u1e96a"]),  # composed as small letters alone
    ],
)
def test_words_and_marks_are_told_apart(text, words):
    assert split_words(text) == words


def test_the_most_frequent_words_come_first():
    words = Words(least=1).fitted(TEXTS).words
    assert words[:5] == ("book", "a", "flight", "please", "!")  # 3, then 2 by the alphabet, then 1
    assert Words(least=2).fitted(TEXTS).words == words[:4]
    assert Words(size=2, least=1).fitted(TEXTS).words == words[:2]
    assert Words(least=2).fitted(["once", "once"]).words == ("once",)  # texts that repeat count each time


def test_sentences_are_padded_cut_and_shown():
    words = Words(least=2, steps=3).fitted(TEXTS)
    assert words.encode(["book", "a flight please please please"]).tolist() == [[2, PADDING, PADDING], [3, 4, 5]]
    words = Words(least=1).fitted(TEXTS)
    assert words.show(words.encode(["Please book the (flight), a table!", "a TRAIN to Rome."])) == [
        "please book the � flight �, a table!",
        "a � to rome.",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": "book"}, "has no list 'words'"),
        ({"words": ["Book"]}, "'Book' is not a lower-cased word"),
        ({"words": [3]}, "3 is not a lower-cased word"),
        ({"words": ["a b"]}, "'a b' is not a lower-cased word"),
        ({"words": ["a", "a"]}, "or one twice"),
        ({"words": ["a", "b"], "size": 1}, "more than 1 words"),
    ],
)
def test_damaged_words_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Words.from_plain(Words(words=("book",)).to_plain() | change)


class Things(TextSource):
    """Eight sentences of each class."""

    def sentences(self, subset):
        names = {"train": ("blue", "red"), "test": ("green", "grey")}.get(subset, ())
        return {name: [f"{name} thing {i}" for i in range(8)] for name in names}


def test_a_source_counts_the_words_of_its_meta_train_classes():
    source = Things(Words(steps=4))
    assert set(source.preprocessing.words) == {"red", "blue", "thing", *"01234567"}
    task = draw_task(source, way=2, train=3, val=2, test=3)
    check_task(task)
    assert task.preprocessing is source.preprocessing
    assert task.shape == TokenShape(13, 4)
    assert (task.train.inputs[:, 0] == UNKNOWN).all()  # the names of the meta-test classes
    assert torch.equal(source.inputs("train", 0, [2, 0]), source.preprocessing.encode(["blue thing 2", "blue thing 0"]))
    assert source.instances("train", 0, held_out=True) == 0


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=12))
def test_any_text_is_shown_again_in_composed_letters(texts, other):
    made = Characters(steps=80, characters="ab").fitted(texts)
    known = Characters(steps=80).fitted([*texts, other, "x"])
    composed = [unicodedata.normalize("NFC", text) for text in (*texts, other)]
    assert known.show(known.encode([*texts, other])) == [text or "\N{REPLACEMENT CHARACTER}" for text in composed]
    assert made.token_lists([other]) == [["ab".find(one) + 2 for one in composed[-1]]]


def test_what_cannot_be_written_is_not_of_the_vocabulary():
    made = Characters().fitted(["a\ud800b", "u\u0308"])
    assert set(made.characters) == {"a", "b", "ü"}
    json.dumps(made.to_plain(), ensure_ascii=False).encode()


def test_the_pairs_that_stand_together_most_often_are_joined(pairs):
    assert BytePairs(size=258).fitted(["aab aab ab"]).merges == (("a", "b"), ("a", "ab"))
    assert SINGLE_BYTES < len(pairs.pieces) <= 300
    assert len(BytePairs(size=258).fitted(STEMS).pieces) == 258
    assert "lowest" not in {piece.removeprefix("Ġ") for piece in BytePairs(least=99).fitted(STEMS).pieces}
    assert all(BytePairs(size=300, steps=12).fitted(STEMS) == pairs for _ in range(5))


@pytest.mark.parametrize("text", ["日本語", "\U0001f600", "größer", "\x00"])
def test_any_character_is_known(pairs, text):
    wide = replace(pairs, steps=40)
    found = wide.encode([text])
    assert (found != UNKNOWN).all()
    assert wide.show(found) == [text.lower()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 255}, "size = 255 must be a whole number, from 256"),
        ({"pieces": ["a", "a"]}, "or one twice"),
        ({"pieces": ["a", ""]}, "'' is not a piece"),
        ({"pieces": ["a", 3]}, "3 is not a piece"),
        ({"pieces": None}, "has no list 'pieces'"),
        ({"merges": ["ab"]}, "are no lists of two texts"),
        ({"merges": [["a", 3]]}, "are no lists of two texts"),
        ({"merges": [["a", "b", "c"]]}, "is not a pair of pieces"),
        ({"merges": [["a", "c"]]}, "is not a pair of pieces"),
        ({"merges": [["b", "a"]]}, "is not a pair of pieces that makes a third one"),
    ],
)
def test_damaged_pieces_are_refused(change, message):
    plain = {"size": 256, "least": 2, "steps": 4, "pieces": ["a", "b", "ab"], "merges": [["a", "b"]]}
    assert BytePairs.from_plain(plain).encode(["abba"]).tolist() == [[4, 3, 2, 0]]
    with pytest.raises(ValueError, match=message):
        BytePairs.from_plain(plain | change)
