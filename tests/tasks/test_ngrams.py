"""Words, pairs and pieces of words by number."""

import json

import pytest
import torch

import lit_metanas as lm
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.inputs.tokens import UNKNOWN, split_words
from lit_metanas.kinds import NGrams
from lit_metanas.kinds.stored_preprocessing import read_preprocessing

TEXTS = ["Book a table, please!", "book a flight", "Please book the flight to Rome.", "हिन्दी Straße a"]


def slow_grams(text):
    """By loops over all beginnings and ends."""
    words, found = split_words(text), set()
    for place, word in enumerate(words):
        found.add(f" {word} ")
        if place:
            found.add(f" {words[place - 1]} {word} ")
        letters = [" ", *word, " "]
        for begin in range(len(letters)):
            for end in range(begin + 2, min(begin + 5, len(letters)) + 1):
                found.add("".join(letters[begin:end]))
    return found


@pytest.mark.parametrize("text", [*TEXTS, "", "b", "no no no", "日本語"])
def test_they_are_all_words_pairs_and_pieces_each_once(text):
    grams = NGrams().split(text)
    assert set(grams) == slow_grams(text)
    assert len(set(grams)) == len(grams)
    words = list(dict.fromkeys(f" {word} " for word in split_words(text)))
    assert grams[: len(words)] == words  # which a long text keeps


def test_they_are_the_features_of_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="needs the extra sklearn")
    counts = [
        text.CountVectorizer(analyzer="word", ngram_range=(1, 2), tokenizer=split_words, token_pattern=None),
        text.CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)),
    ]
    separate = [" ".join(split_words(one)) for one in TEXTS]  # marks are words of their own here
    words, pieces = (set(one.fit(separate).get_feature_names_out()) for one in counts)
    expected = {f" {word} " for word in words} | pieces
    assert {gram for one in TEXTS for gram in NGrams().split(one)} == expected


def test_the_most_frequent_come_first_and_unknown_ones_are_left_out():
    grams = NGrams(least=1).fitted(TEXTS)
    counted = [sum(gram in slow_grams(text) for text in TEXTS) for gram in grams.grams]
    assert counted == sorted(counted, reverse=True)
    assert {*grams.grams} == {gram for text in TEXTS for gram in slow_grams(text)}
    few = NGrams(least=2, size=5).fitted(TEXTS)
    assert few.grams == grams.grams[:5]
    (row,) = few.encode(["book a new flight"]).tolist()
    assert {few.grams[token - 2] for token in row if token != PADDING} == slow_grams("book a flight") & {*few.grams}
    assert few.encode(["", "xyz"])[:, 0].tolist() == [UNKNOWN, UNKNOWN]


def test_there_are_as_many_steps_as_texts_need_and_a_quarter_more():
    grams = NGrams(least=1).fitted(TEXTS)
    longest = max(len(slow_grams(text)) for text in TEXTS)
    assert grams.steps == 2 + 5 * longest // 4
    assert NGrams(least=1, steps=9).fitted(TEXTS).steps == 9
    assert grams.encode(["b" * 10_000_000]).shape == (1, grams.steps)
    assert grams.fitted(["another text"]) is grams


def test_known_words_are_shown():
    grams = NGrams(least=1).fitted(TEXTS)
    assert grams.show(grams.encode(["Please book a, a room to Rome!"])) == ["please book a , to rome !"]


def test_plain_values_give_the_same_back():
    grams = NGrams(least=1).fitted(TEXTS)
    again = read_preprocessing(json.loads(json.dumps(grams.described())))
    assert again == grams
    assert torch.equal(again.encode(TEXTS), grams.encode(TEXTS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grams": "book"}, "has no list 'grams'"),
        ({"grams": [" Book "]}, "' Book ' is not a lower-cased word"),
        ({"grams": ["b"]}, "'b' is not a lower-cased word"),
        ({"grams": ["  "]}, "'  ' is not a lower-cased word"),
        ({"grams": ["bo", "bo"]}, "or one twice"),
    ],
)
def test_damaged_n_grams_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        NGrams.from_plain(NGrams(grams=("bo",)).to_plain() | change)


def test_a_linear_model_of_them_separates_texts_by_the_ends_of_words():
    texts = [f"say {one}{two}{end}" for one in "aeiou" for two in "aeiou" for end in ("lo", "ko")]
    task = lm.task_from_texts(texts, ["l", "k"] * 25, preprocessing=NGrams())
    space = lm.spaces.LinearSpace(details=("coarse",))
    method = lm.searchers.FixedArchitecture({"detail": "coarse"})
    found = lm.search(task, space, method=method, recipe=lm.Recipe(epochs=30, learning_rate=0.03), progress=False)
    assert found.test_accuracy == 1
