"""The objective of networks that write a text, against plain loops and torchmetrics."""

import math
from collections import Counter

import pytest
import torch
from torchmetrics.functional.text import bleu_score

import lit_metanas as lm
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.objectives.translation import TextMetric, bleu_scores, chrf_scores

WORDS = lm.kinds.Words(steps=5, least=1).fitted(["ein kleiner hund sieht das haus .", "das haus ist klein ."])


def test_the_loss_is_the_mean_over_tokens_and_ends():
    objective = lm.Translation(WORDS)
    generator = torch.Generator().manual_seed(0)
    targets = torch.tensor([[3, 4, 0, 0, 0], [2, 0, 0, 0, 0], [5, 6, 7, 2, 3]])
    scores = torch.randn(3, 5, objective.outputs, generator=generator, dtype=torch.float64)
    logs = scores.log_softmax(2)
    for smoothing in (0.0, 0.2):
        terms = []
        for row, target in enumerate(targets.tolist()):
            for step, token in enumerate(target):
                own = -float(logs[row, step, token])
                terms.append((1 - smoothing) * own - smoothing * float(logs[row, step].mean()))
                if token == 0:  # the end is learned once
                    break
        assert len(terms) == 3 + 2 + 5
        found = float(objective.loss(scores, targets, smoothing))
        assert found == pytest.approx(sum(terms) / len(terms), abs=1e-12)
    # Steps behind all ends, of targets or of scores, change nothing.
    assert float(objective.loss(scores[:2], targets[:2])) == float(objective.loss(scores[:2], targets[:2, :3]))
    assert float(objective.loss(scores[:2, :3], targets[:2])) == float(objective.loss(scores[:2], targets[:2]))


def test_predictions_end_at_the_first_end():
    path = torch.tensor([[3, 4, 0, 2], [0, 2, 2, 2], [1, 2, 3, 4]])
    scores = torch.nn.functional.one_hot(path, 5).float()
    objective = lm.Translation(WORDS)
    assert objective.predictions(scores) == [[3, 4], [], [1, 2, 3, 4]]
    texts = objective.texts([[3, 4], []])
    assert texts == [*WORDS.show(torch.tensor([[3, 4]])), ""]
    assert objective.texts([]) == []
    assert objective.answers(torch.tensor([[3, 4, 0], [2, 0, 0]])) == [[3, 4], [2]]


SAID = ["ein kleiner hund sieht das haus.", "das haus ist klein", "der hund", "", "haus"]
MEANT = ["ein kleiner hund sieht das haus.", "das haus ist ein klein", "die katze", "ein hund", "haus ist klein"]


def plain_chrf(said, meant):
    """The mean F, with beta 2, of n-grams of each size that both texts have."""
    one, other = (text.replace(" ", "") for text in (said, meant))
    scores = []
    for size in range(1, min(6, len(one), len(other)) + 1):
        own, wanted = (Counter(text[at : at + size] for at in range(len(text) - size + 1)) for text in (one, other))
        common = sum((own & wanted).values())
        p, r = common / sum(own.values()), common / sum(wanted.values())
        scores.append(5 * p * r / (4 * p + r) if p + r else 0.0)
    return sum(scores) / len(scores) if scores else 0.0


def test_chrf_is_that_of_each_sentence():
    said = [*SAID, "ab", "abcde", "ab", "abc def"]
    meant = [*MEANT, "ab", "abcde", "abcde", "abd def"]
    found = chrf_scores(said, meant)
    assert [found[place] for place in (0, 3, 5, 6)] == [1.0, 0.0, 1.0, 1.0]
    assert found == pytest.approx([plain_chrf(*pair) for pair in zip(said, meant, strict=True)], abs=1e-5)
    assert chrf_scores([], []) == []


def test_bleu_is_the_smoothed_one_of_each_sentence():
    said = ["ein kleiner hund sieht das haus", "das haus ist klein und das haus", "das haus ist klein"]
    meant = ["ein kleiner hund sieht ein haus", "heute das haus ist klein und alt", "das haus ist klein heute"]
    for one, other, score in zip(said, meant, bleu_scores(said, meant), strict=True):
        assert score == pytest.approx(float(bleu_score([one], [[other]], smooth=True)), abs=1e-5)
    # torchmetrics has 0 for each without a match of four words, however short it is.
    assert bleu_scores(["haus"], ["haus"]) == [1.0]
    assert bleu_scores(["das haus", "", "."], ["das hund", "haus", "haus"]) == [
        pytest.approx((1 / 2 * 1 / 2) ** 0.25), 0.0, 0.0,
    ]  # fmt: skip


def test_the_metric_is_the_mean_over_examples():
    targets = torch.tensor([[3, 4, 2], [5, 0, 0]])
    for metric, wanted in (("exact match", [1.0, 0.0]), ("chrF", None), ("BLEU", None)):
        objective = lm.Translation(WORDS, metric=metric)
        assert objective.metric == metric
        judged = objective.judge([[3, 4, 2], [5, 6]], targets)
        assert judged.whole.tolist() == [1.0, 1.0]
        assert float(judged.right[0]) == 1.0
        assert 0 < judged.value < 1
        assert wanted is None or judged.right.tolist() == wanted
        assert not math.isnan(judged.half)


@pytest.mark.parametrize("metric", ["exact match", "chrF", "BLEU"])
def test_what_has_no_token_is_never_written_rightly(metric: TextMetric) -> None:
    objective = lm.Translation(WORDS, metric=metric)
    targets = torch.tensor([[3, 4, UNKNOWN], [UNKNOWN, 0, 0], [3, 4, 2]])
    judged = objective.judge([[3, 4, UNKNOWN], [UNKNOWN], [3, 4, 2]], targets)
    assert float(judged.right[0]) < 1
    assert judged.right.tolist()[1:] == [0.0, 1.0]


def test_wrong_targets_get_a_sentence():
    objective = lm.Translation(WORDS)
    objective.check_targets("It", torch.tensor([[1, 3, 0], [2, 0, 0]]))
    last = objective.outputs - 1
    for targets, message in (
        ([1, 2], r"^It has targets of shape \(2,\): give \(n, longest\)\.$"),
        ([[1, last + 1]], f"target tokens from 1 to {last + 1}: give numbers from 1 to {last}, and 0 behind the end"),
        ([[-1, 1]], "target tokens from -1 to 1"),
        ([[1, 0, 2]], "a 0 within a target: give 0 behind the end alone"),
        ([[1, 2], [0, 0]], "an empty target, that of example 1: leave it out"),
        ([[1] * 6], "a target of 6 tokens, and the target's preprocessing makes up to 5: cut it"),
    ):
        with pytest.raises(ValueError, match=message):
            objective.check_targets("It", torch.tensor(targets))


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(ValueError, match="no metric 'chrf': use chrF, BLEU, exact match"):
        lm.Translation(WORDS, metric="chrf")
    with pytest.raises(ValueError, match="makes series of 41 features and up to 3 steps: give one that makes tokens"):
        lm.Translation(lm.kinds.LogMel(steps=3))


@pytest.mark.parametrize(
    ("objective", "space", "sentence"),
    [
        (lm.Translation(WORDS), lm.SequenceSpace(), "scores for each step of a text to be written, .* EncoderDecoder"),
        (lm.Transcription(2), lm.LayeredSpace(), r"scores for each step of an input, .* readouts=\['each'\]"),
        (lm.Classification(2), lm.SequenceSpace(readouts=("each",)), "scores for an input, .* other readouts than"),
    ],
)
def test_a_space_refuses_an_objective_that_wants_other_scores(objective, space, sentence):
    with pytest.raises(ValueError, match=sentence):
        space.check_objective(objective)
