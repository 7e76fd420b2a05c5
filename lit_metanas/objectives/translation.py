"""The objective of networks that write a text, and how texts are compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.preprocessing import UNKNOWN, UNKNOWN_SHOWN, Preprocessing, TextPreprocessing, split_words
from lit_metanas.inputs.shapes import PADDING, TokenShape, describe_shape
from lit_metanas.io.text import number_of
from lit_metanas.objectives.objective import Examples, Judged, Scored, SequenceObjective

END = PADDING  # the output that ends a text

TextMetric = Literal["chrF", "BLEU", "exact match"]

MOST_CHARACTERS = 6  # of an n-gram of chrF

LONGEST_NGRAM = 4  # words, of BLEU

NEVER_WRITTEN = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for what is unknown in the texts that are meant, so that the sign for it in a written one is no match."""


@dataclass(frozen=True)
class Translation(SequenceObjective):
    """Write a text, token by token, such as an input's sentence in another language.

    Targets are ``(n, longest)``, the tokens of ``target``, 0 behind the end of each. Scores are
    ``(n, steps, outputs)``, where output 0 says that the text has ended. Networks are trained by the cross-entropy of
    each token and of the end, given all tokens before it.

    Metrics compare texts as ``target.show`` writes them, one by one, and a task's is their mean. ``chrF`` is the
    F-score of n-grams of up to six characters, in which recall counts twice as much as precision (Popović 2015).
    ``BLEU`` is that of a sentence, of up to four words, smoothed as Lin and Och do (2004). ``exact match`` is 1 where
    the tokens are the same. What ``target`` has no token for (``UNKNOWN``) is never written, and so always an error.

    Attributes:
        target: makes tokens of texts, and texts of tokens, such as ``Words``.
        metric: ``chrF``, ``BLEU`` or ``exact match``, each from 0 to 1.

    Raises:
        ValueError: ``target`` makes no tokens, or there is no such metric.

    Example:
        >>> words = lm.kinds.Words(steps=4, least=1).fitted(["ein kleiner Hund", "ein Haus"])
        >>> objective = lm.Translation(words)
        >>> targets = words.encode(["ein Hund"])
        >>> scores = 9 * torch.nn.functional.one_hot(targets, objective.outputs).float()
        >>> objective.texts(objective.predictions(scores))
        ['ein hund']
        >>> objective.judge(objective.predictions(scores), targets).value
        1.0

    1. Popović. chrF: character n-gram F-score for automatic MT evaluation. WMT 2015.
    2. Lin, Och. ORANGE: a Method for Evaluating Automatic Evaluation Metrics for Machine Translation. COLING 2004.
    """

    kind: ClassVar[str] = "translation"
    scored: ClassVar[Scored] = "target"
    noun: ClassVar[str] = "texts"
    hub_tasks: ClassVar[Mapping[str, str]] = {"": "translation"}
    smooths: ClassVar[bool] = True

    target: Preprocessing
    metric: TextMetric = "chrF"

    def __post_init__(self) -> None:
        if not isinstance(self.target.shape, TokenShape):
            raise ValueError(
                f"Translation: the target's preprocessing makes {describe_shape(self.target.shape)}: give one that "
                "makes tokens, such as Words."
            )
        if self.metric not in get_args(TextMetric):
            raise ValueError(f"Translation: there is no metric '{self.metric}': use {', '.join(get_args(TextMetric))}.")

    @property
    def outputs(self) -> int:
        """One for each token; the first one is the end."""
        return self._shape.vocabulary

    @property
    def written_by(self) -> Preprocessing:
        """The target's."""
        return self.target

    def to_plain(self) -> dict[str, Any]:
        """The metric, and what makes the target's tokens."""
        return {"metric": self.metric, "target": self.target.described()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """With the stored metric and target."""
        if names:
            raise ValueError(f"it is a {cls.kind} with {number_of(names, 'class')}")
        if plain.get("metric") not in get_args(TextMetric):
            raise ValueError(f"its metric is none of {', '.join(get_args(TextMetric))}")
        return cls(read(plain.get("target")), plain["metric"])

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """None: what is predicted are texts."""
        return ()

    @property
    def steps(self) -> int:
        """Tokens of a text at most."""
        return self._shape.steps

    @property
    def _shape(self) -> TokenShape:
        return cast(TokenShape, self.target.shape)  # which the constructor has looked at

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy of each token of a text, and of its end, unless it fills all steps."""
        targets = F.pad(targets, (0, scores.shape[1] - targets.shape[1]), value=END)
        # Each token and the first end behind them: the first step always, another one if a token stands before it.
        learned = F.pad(targets[:, :-1] != END, (1, 0), value=True)
        return F.cross_entropy(scores[learned], targets[learned], label_smoothing=label_smoothing)

    def predictions(self, scores: Tensor) -> list[list[int]]:
        """The tokens of the largest scores, up to the end."""
        rows: list[list[int]] = scores.argmax(2).tolist()
        return [row[: row.index(END)] if END in row else row for row in rows]

    def show(self, predictions: Sequence[Sequence[int]], inputs: Tensor, examples: Examples) -> list[str]:
        """The texts."""
        return self.texts(predictions)

    def texts(self, predictions: Sequence[Sequence[int]]) -> list[str]:
        """What tokens say."""
        longest = max(map(len, predictions), default=0)
        rows = [[*row, *[END] * (longest - len(row))] for row in predictions]
        return self.target.show(torch.tensor(rows, dtype=torch.int64).reshape(len(rows), longest))

    def judge(self, predictions: Sequence[Sequence[int]], targets: Tensor) -> Judged:
        """The metric of each text."""
        meant = self.answers(targets)
        has_unknown = isinstance(self.target, TextPreprocessing)
        if self.metric == "exact match":
            pairs = zip(predictions, meant, strict=True)
            right = [float(list(row) == other and not (has_unknown and UNKNOWN in other)) for row, other in pairs]
        else:
            texts = self.texts(meant)
            if has_unknown:
                texts = [text.replace(UNKNOWN_SHOWN, NEVER_WRITTEN) for text in texts]
            right = {"chrF": chrf_scores, "BLEU": bleu_scores}[self.metric](self.texts(predictions), texts)
        return Judged(torch.tensor(right, dtype=torch.float64), torch.ones(len(right), dtype=torch.float64))

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find what is no row of tokens with zeros behind its end."""
        said = self._check_rows(name, targets, most=self.outputs - 1, noun="target tokens", row="target")
        if not bool(said.any(1).all()):
            place = int((~said.any(1)).nonzero()[0])
            raise ValueError(f"{name} has an empty target, that of example {place}: leave it out.")
        longest = max(said.sum(1).tolist(), default=0)
        if longest > self.steps:
            raise ValueError(
                f"{name} has a target of {longest} tokens, and the target's preprocessing makes up to "
                f"{self.steps}: cut it."
            )


def chrf_scores(said: Sequence[str], meant: Sequence[str]) -> list[float]:
    """The chrF of each text with the one that is meant (Popović 2015), from 0 to 1.

    N-grams of up to six characters count, and none longer than the shorter text: it has none of these, and a perfect
    answer of two letters would have a third of the score. As in torchmetrics, F-scores of each length are averaged,
    where the paper averages precision and recall first; that mostly differs by less than 0.003.
    """
    from torchmetrics.functional.text import chrf_score  # takes seconds

    by_order: dict[int, list[int]] = {}
    for place, pair in enumerate(zip(said, meant, strict=True)):
        shorter = min(len("".join(text.split())) for text in pair)
        by_order.setdefault(min(max(shorter, 1), MOST_CHARACTERS), []).append(place)
    found = [0.0] * len(said)
    for order, places in by_order.items():
        texts, references = [said[place] for place in places], [[meant[place]] for place in places]
        # Without n-grams of words, which would make it chrF++.
        _, scores = chrf_score(texts, references, n_char_order=order, n_word_order=0, return_sentence_level_score=True)
        for place, score in zip(places, scores, strict=True):
            found[place] = min(1.0, round(float(score), 6))
    return found


def bleu_scores(said: Sequence[str], meant: Sequence[str]) -> list[float]:
    """The BLEU of each text with the one that is meant, from 0 to 1, smoothed as Lin and Och (2004) do.

    One is added to the matches and to the number of n-grams, but of single words. torchmetrics has 0 for each text
    without a match of four words, however short it is.
    """
    return [_bleu(split_words(text), split_words(other)) for text, other in zip(said, meant, strict=True)]


def _bleu(said: Sequence[str], meant: Sequence[str]) -> float:
    logarithms = 0.0
    for size in range(1, LONGEST_NGRAM + 1):
        own, other = (
            Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1)) for words in (said, meant)
        )
        matches, whole, added = (own & other).total(), own.total(), int(size > 1)
        if not matches + added:
            return 0.0
        logarithms += math.log((matches + added) / (whole + added))
    # The second summand is the penalty for a text that is too short.
    return math.exp(logarithms / LONGEST_NGRAM + min(0.0, 1 - len(meant) / len(said)))
