"""Questions and what they are asked of as sequences of words."""

import pytest
import torch
from hypothesis import given, strategies as st

import lit_metanas as lm
from lit_metanas.inputs.preprocessing import split_words, word_places
from lit_metanas.kinds.questions.question_words import Asked

STORY = ["Ada runs home.", "Tom sits down.", "Ada eats."]
TEXTS = ["Who sits?", *STORY]


def words(steps: int, newest_first: bool = True) -> lm.kinds.QuestionWords:
    return lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=steps), newest_first).fitted(TEXTS)


MADE = words(16)


def test_the_question_stands_first_and_then_the_newest_sentence():
    made = words(16)
    inputs = made.encode([("Who sits?", STORY)])
    assert made.show(inputs) == ["who sits? | ada eats. tom sits down. ada runs home."]
    assert int(inputs[0, 3]) == made.separator == made.shape.vocabulary - 1
    assert inputs.shape == (1, 16)
    assert words(16, newest_first=False).show(inputs) == made.show(inputs)


def test_whole_old_sentences_are_left_out_first():
    for steps, shown in ((14, "ada eats. tom sits down."), (11, "ada eats. tom sits down."), (10, "ada eats.")):
        made = words(steps)
        found = made.encode_stories([Asked("Who sits?", STORY), Asked("Who sits?", STORY[:1])])
        assert made.show(found) == [f"who sits? | {shown}", "who sits? | ada runs home."]
    assert words(6).show(words(6).encode([("Who sits?", STORY[:1])])) == ["who sits? | ada runs"]
    assert words(8).show(words(8).encode([("sits " * 50, "Ada eats.")])) == ["sits sits sits sits | ada eats."]


def test_passages_are_cut_off_behind_their_begin():
    made = words(8, newest_first=False)
    assert made.show(made.encode([("Who sits?", STORY)])) == ["who sits? | ada runs home."]


def test_raw_examples_are_pairs_or_texts_with_a_tab():
    made = words(16)
    pair = made.encode([("Who sits?", STORY)])
    assert torch.equal(made.encode(["Who sits?\t" + " ".join(STORY)]), pair)
    assert torch.equal(made.encode([("Who sits?", "\n".join(STORY))]), pair)
    for raw, message in (
        ("Who sits?", "'Who sits\\?' is no question with a passage: give the question, a tab, and the passage"),
        (("Who?", ["a"], "b"), "'tuple' is no question"),
        ("\tAda eats.", "The question '' or its passage is empty: give both"),
        ("Who sits?\t" + "a " * 60_000, "more than 100000 characters: shorten"),
    ):
        with pytest.raises(ValueError, match=message):
            made.encode([raw])


def test_it_is_stored_as_plain_values():
    for made in (words(16), words(9, newest_first=False)):
        assert lm.kinds.QuestionWords.from_plain(made.to_plain()) == made
    for plain in ({}, {"words": 3, "newest_first": True}, {"words": lm.kinds.Words().to_plain(), "newest_first": 1}):
        with pytest.raises(ValueError, match="the stored preprocessing lacks 'words' or 'newest_first'"):
            lm.kinds.QuestionWords.from_plain(plain)
    with pytest.raises(ValueError, match="steps = 3 of its words must be at least 4"):
        words(3)


def test_predicted_steps_are_shown_as_the_passage_has_them():
    made = words(32, newest_first=False)
    passage = "On  May 5th, ADA (of Rome)\tsat: it's 3.5 km!"
    tokens = split_words(passage)
    for first in range(len(tokens)):
        (text,) = made.answers([("Who sits?", passage)], [(4 + first, 4 + len(tokens) - 1)])
        assert split_words(text) == tokens[first:]
        assert text in passage
    assert made.answers([("Who sits?", passage)] * 3, [(0, 2), (2, 4), (4 + len(tokens), 40)]) == ["", "On", ""]
    with pytest.raises(ValueError, match="set newest_first to False"):
        words(32).answers([("Who sits?", passage)], [(4, 5)])


@given(st.text(max_size=60))
def test_places_of_words_are_in_order_and_there_is_a_token_for_each(text):
    places = word_places(text)
    assert len(MADE.tokens(text)) == len(places)
    begins = [begin for _, begin, _ in places]
    assert begins == sorted(begins)
    assert all(0 <= begin < end <= len(text) for _, begin, end in places)
    assert {each for word, begin, end in places for each in range(begin, end)} >= {
        at for at, letter in enumerate(text) if letter.isalnum()
    }
