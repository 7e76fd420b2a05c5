"""Words, pairs and pieces of words by number."""

import json

import pytest
import torch

from lit_metanas.inputs.preprocessing import UNKNOWN, lower_cased, split_words
from lit_metanas.kinds import NGrams
from lit_metanas.kinds.stored_preprocessing import read_preprocessing

TEXTS = ["Book a table, please!", "book a flight", "Please book the flight to Rome.", "हिन्दी Straße a"]


def slow_grams(text, across=True):
    """By loops over all beginnings and ends."""
    words, found = split_words(text), set()
    begin, end = ("\t", "") if across else (" ", " ")
    for place, word in enumerate(words):
        found.add(begin + word + end)
        if place:
            found.add(f"{begin}{words[place - 1]} {word}{end}")
    for line in [" ".join(lower_cased(text).split())] if across else words:
        letters = [" ", *line, " "]
        for first in range(len(letters)):
            for last in range(first + 2, min(first + 5, len(letters)) + 1):
                found.add("".join(letters[first:last]))
    return found


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("text", [*TEXTS, "", "b", "no no no", "日本語"])
def test_they_are_all_words_pairs_and_pieces_each_once(text, across):
    grams = NGrams(across=across).split(text)
    assert set(grams) - {""} == slow_grams(text, across)
    assert len(set(grams)) == len(grams)
    words = list(dict.fromkeys(("\t" + word if across else f" {word} ") for word in split_words(text)))
    assert grams[: len(words)] == words  # which a long text keeps
    if across:
        assert not any(gram.startswith("\t") for gram in grams[grams.index("") :])


def test_the_most_frequent_come_first_and_unknown_ones_are_left_out():
    grams = NGrams(least=1).fitted(TEXTS)
    counted = [sum(gram in slow_grams(text) for text in TEXTS) for gram in grams.grams]
    assert counted == sorted(counted, reverse=True)
    assert {*grams.grams} == {gram for text in TEXTS for gram in slow_grams(text)}
    few = NGrams(least=2, size=5).fitted(TEXTS)
    assert few.grams == grams.grams[:5]
    (row,) = few.encode(["book a new flight"]).tolist()
    known = {few.grams[token - 2] for token in row if token > UNKNOWN}
    assert known == slow_grams("book a new flight") & {*few.grams}
    assert few.encode(["", "xyz"])[:, 0].tolist() == [UNKNOWN, UNKNOWN]


def test_there_are_as_many_steps_as_texts_need_and_a_quarter_more():
    grams = NGrams(least=1).fitted(TEXTS)
    longest = 1 + max(len(slow_grams(text)) for text in TEXTS)
    assert grams.steps == 2 + 5 * longest // 4
    assert NGrams(least=1, steps=9).fitted(TEXTS).steps == 9
    assert grams.encode(["b" * 10_000_000]).shape == (1, grams.steps)
    assert grams.fitted(["another text"]) is grams


def test_known_words_are_shown():
    grams = NGrams(least=1).fitted(TEXTS)
    assert grams.show(grams.encode(["Please book a, a room to Rome!"])) == ["please book a , to rome !"]


def test_plain_values_give_the_same_back():
    grams = NGrams(least=1).fitted(TEXTS)
    described = json.loads(json.dumps(grams.described()))
    again = read_preprocessing(described)
    assert again == grams
    assert torch.equal(again.encode(TEXTS), grams.encode(TEXTS))
    del described["across"]  # as in exports of earlier versions
    assert read_preprocessing(described).across is False


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
