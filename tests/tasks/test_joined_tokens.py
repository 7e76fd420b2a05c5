"""Tokens of texts by two preprocessings, one behind the other."""

from dataclasses import replace

import pytest
import torch

import lit_metanas as lm
from lit_metanas.kinds.stored_preprocessing import read_preprocessing
from lit_metanas.kinds.texts.text_tokens import JoinedTokens, joined_task

TEXTS = [f"{text} {number}" for number in range(5) for text in ("book a table", "play songs", "book a seat", "stop it")]
LABELS = ["eat", "listen"] * 10


@pytest.fixture
def joined():
    return JoinedTokens(lm.kinds.Words(steps=4, least=1).fitted(TEXTS), lm.kinds.Characters(steps=9).fitted(TEXTS))


def test_the_tokens_of_the_second_stand_behind_those_of_the_first(joined):
    inputs = joined.encode(["book a seat", "é"])
    assert inputs.shape == (2, 13)
    assert torch.equal(inputs[:, :4], joined.first.encode(["book a seat", "é"]))
    assert torch.equal(inputs[:, 4:], joined.second.encode(["book a seat", "é"]))
    assert joined.shape == lm.TokenShape(max(joined.first.shape.vocabulary, joined.second.shape.vocabulary), 13)
    assert joined.show(inputs) == ["book a seat", "�"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": None}, "has no two 'parts'"),
        ({"parts": [{"kind": "words"}]}, "has no two 'parts'"),
        ({"parts": [{"kind": "sounds"}, 3]}, "are none of words, characters, byte pairs"),
        ({"parts": [{"kind": "words"}] * 2}, "Words: the stored preprocessing"),
    ],
)
def test_what_is_damaged_is_refused(joined, change, message):
    with pytest.raises(ValueError, match=message):
        read_preprocessing({**joined.described(), **change})


def test_a_task_has_the_tokens_of_both_in_the_same_order(joined):
    first, second = (lm.task_from_texts(TEXTS, LABELS, preprocessing=one) for one in (joined.first, joined.second))
    task = joined_task(first, second)
    assert (task.shape, task.preprocessing) == (joined.shape, joined)
    for own, one, other in ((task.train, first.train, second.train), (task.test, first.test, second.test)):
        assert torch.equal(own.inputs, torch.cat([one.inputs, other.inputs], 1))
        assert torch.equal(own.labels, one.labels)
    assert joined_task(replace(first, val=None), second).val is None


def test_what_no_preprocessing_would_make_of_new_texts_is_not_joined(joined):
    first, second = (lm.task_from_texts(TEXTS, LABELS, preprocessing=one) for one in (joined.first, joined.second))
    assert joined_task(replace(first, preprocessing=None), second) is None
    assert joined_task(first, replace(second, preprocessing=lm.kinds.Characters(steps=3))) is None
    rows = lm.task_from_arrays(torch.rand(20, 3), LABELS)
    assert joined_task(rows, rows) is None
