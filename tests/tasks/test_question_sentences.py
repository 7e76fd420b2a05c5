"""Questions and what they are asked of as series of sentences."""

from __future__ import annotations

import pytest
import torch

import lit_metanas as lm
from lit_metanas.kinds.questions.question_words import Asked

STORY = ["Ada runs home.", "Tom sits down.", "Ada eats."]


def made(sentences: int = 4, steps: int = 6) -> lm.kinds.QuestionSentences:
    words = lm.kinds.Words(least=1, steps=steps)
    return lm.kinds.QuestionSentences(words, sentences=sentences).fitted(["who sits?", *STORY])


def test_features_are_counts_and_places():
    preprocessing = made()
    inputs = preprocessing.encode([("Ada? Ada!", STORY[:1])])
    assert inputs.shape == (1, *preprocessing.shape)
    known = preprocessing.words.shape.vocabulary - 1
    (ada, question, home), unknown = ([preprocessing.words.words.index(w) + 1 for w in ("ada", "?", "home")], 0)
    count, places = inputs[0, :known, 0], inputs[0, known:-1, 0]
    assert count.nonzero().flatten().tolist() == sorted({ada, question, unknown})
    assert (count[ada], count[question], count[unknown]) == (2, 1, 1)
    assert (places[ada], places[question], places[unknown]) == (0.25 + 0.75, 0.5, 1.0)
    assert inputs[0, known + home, 1] == 0.75
    assert inputs[0, -1].tolist() == [1, 1, 0, 0, 0]


def test_a_linear_map_gives_the_position_encoding():
    preprocessing, width = made(), 5
    vectors = torch.randn(preprocessing.words.shape.vocabulary, width, generator=torch.Generator().manual_seed(0))
    tokens = preprocessing.words.tokens(["tom sits down."])[0]
    tokens = tokens[tokens != 0]
    expected = torch.zeros(width)
    for place, token in enumerate(tokens, 1):
        for at in range(1, width + 1):
            share, part = place / len(tokens), at / width
            expected[at - 1] += ((1 - share) - part * (1 - 2 * share)) * vectors[token, at - 1]
    step = preprocessing.encode([("tom sits down.", STORY)])[0, :-1, 0]
    parts = torch.arange(1, width + 1) / width
    weight = torch.cat([vectors[1:] * (1 - parts), vectors[1:] * (2 * parts - 1)])
    torch.testing.assert_close(step @ weight, expected)


def test_the_newest_sentences_are_kept():
    preprocessing = made(sentences=2)
    found, cut = preprocessing.encode_stories(
        [Asked("Who sits?", STORY, 3, "Tom"), Asked("Who sits?", STORY, 2, "Tom"), Asked("Who sits?", STORY, 1, "?")]
    )
    shown = ["who sits? | ada eats. | tom sits down.", "who sits? | tom sits down. | ada runs home."]
    assert preprocessing.show(found) == [*shown, "who sits? | ada runs home."]
    assert cut == 1
    assert made(steps=2).show(made(steps=2).encode([("Who sits?", STORY[:1])])) == ["who sits | ada runs"]


def test_it_comes_back_from_plain_values():
    assert lm.kinds.QuestionSentences.from_plain(made().to_plain()) == made()
    with pytest.raises(ValueError, match="lacks 'words' or 'sentences'"):
        lm.kinds.QuestionSentences.from_plain({"words": made().words.to_plain()})
    with pytest.raises(ValueError, match="QuestionSentences: sentences = 0 must be a whole number, from 1 to 10000"):
        lm.kinds.QuestionSentences(sentences=0)


def test_a_network_reads_stories_sentence_by_sentence():
    stories = lm.kinds.Stories(
        types=["motives"], tasks=1, train=100, val=20, test=50, preprocessing=lm.kinds.QuestionSentences()
    )
    task = stories[0]
    assert task.shape == stories.shape == stories.preprocessing.shape
    layers = {"operations": ("identity",), "activations": ("ReLU",), "dropouts": (0.0,), "skips": ("residual",)}
    space = lm.SequenceSpace(**layers, depths=(1,), widths=(16,), readouts=("hops_1",))
    method, recipe = lm.searchers.FixedArchitecture({}), lm.Recipe(epochs=30, batch_size=20)
    result = lm.search(task, space, method=method, recipe=recipe, seed=0, progress=False)
    assert result.test_accuracy > 0.6
    story = "Ada feels hungry. Ada runs to the bakery."
    (shares,) = result.predict([("why did Ada go to the bakery?", story)])
    assert set(shares) == set(task.classes)


def test_sentences_that_are_too_long_are_told(tmp_path):
    long = "Ada is " + "very " * 8
    for part, last in (("train", "mill"), ("test", "park")):
        lines = [
            f"1 {long}near the mill.",
            "2 Where is Ada?\tmill",
            f"1 {long}near the {last}.",
            f"2 Where?\t{last} end",
        ]
        (tmp_path / f"long_{part}.txt").write_text("\n".join(lines * 2))
    reads = lm.kinds.QuestionSentences(lm.kinds.Words(least=1, steps=6))
    with pytest.warns(
        UserWarning, match=r"8 questions of '.*' and their stories do not fit into 32 sentences of 6 words"
    ):
        lm.BabiTask(str(tmp_path / "long_train.txt"), preprocessing=reads, val=0.5)[0]


def test_what_would_fill_the_memory_is_refused():
    reads = lm.kinds.QuestionSentences(
        lm.kinds.Words(words=tuple(f"w{number}" for number in range(20_000))), sentences=1000
    )
    asked = [("Who?", ["Ada."])] * 20
    with pytest.raises(ValueError, match=r"20 questions of 1001 steps with 40003 features each take 3 GB, more than 2"):
        reads.encode(asked)
