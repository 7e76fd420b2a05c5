"""Texts are read and written by a searched network, as the other objectives' tasks are."""

import pytest
import torch
from cipher_tasks import READERS
from space_toys import one_reader

import lit_metanas as lm

LETTERS = lm.kinds.Words(steps=4, least=1).fitted(["a b c d e"])
GRU = one_reader(operations=("gru", "conv_3"), widths=(24,), **READERS)
SPACE = lm.EncoderDecoderSpace(
    GRU, decoders=("gru", "attention"), decoder_depths=(1,), decoder_dropouts=(0.0,), target_steps=5
)
RECIPE = lm.Recipe(epochs=10, batch_size=25)


def part(number: int, seed: int) -> lm.Split:
    """Four of five letters, and the same from the last to the first."""
    generator = torch.Generator().manual_seed(seed)
    letters = torch.randint(2, LETTERS.shape.vocabulary, (number, 4), generator=generator)
    return lm.Split(letters, letters.flip(1))


def task(metric: str = "exact match") -> lm.Task:
    objective = lm.Translation(LETTERS, metric=metric)
    return lm.Task(
        "reversed", way=objective.outputs, train=part(300, 0), val=part(60, 1), test=part(100, 2),
        vocabulary=LETTERS.shape.vocabulary, preprocessing=LETTERS, objective=objective,
    )  # fmt: skip


def test_a_search_finds_a_network_that_writes_letters_in_reverse():
    result = lm.search(task(), SPACE, queries=2, recipe=RECIPE, seed=0, progress=False)
    assert result.metric == "exact match"
    assert result.test_score > 0.9
    assert 0 < result.ci95 < 0.1
    assert result.classes == ()
    assert result.class_accuracy == {}
    assert "test exact match: " in repr(result)
    assert result.predict(["a b c d", "e d a a"]) == ["d c b a", "a a d e"]
    assert result.predict("a b c d") == ["d c b a"]
    assert result.predict(part(3, 5).inputs) == LETTERS.show(part(3, 5).labels)
    shown = result.predictions[0]
    first = part(100, 2)
    assert [shown.example, shown.meant] == [*LETTERS.show(first.inputs[:1]), *LETTERS.show(first.labels[:1])]
    assert [shown.said] == result.predict(first.inputs[:1])
    with pytest.raises(AttributeError, match="judged by exact match, not by accuracy: see test_score"):
        _ = result.test_accuracy


def test_a_space_for_shorter_texts_refuses_it():
    space = lm.EncoderDecoderSpace(GRU, target_steps=3)
    with pytest.raises(ValueError, match="Translation has texts of up to 4 tokens, and EncoderDecoderSpace writes"):
        lm.search(task(), space, queries=1, progress=False)


def test_malformed_targets_are_found_before_the_search():
    other = task()
    other.train.labels[3] = 0
    with pytest.raises(ValueError, match=r"The train part of task 'reversed' has an empty target, that of example 3"):
        lm.search(other, SPACE, queries=1, progress=False)
