"""What turns a question, and the story that it is asked of, into a series of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import PADDING, SeriesShape
from lit_metanas.inputs.tokens import UNKNOWN, check_range, split_words
from lit_metanas.io.text import number_of
from lit_metanas.kinds.questions.question_words import SEPARATOR_SHOWN, Asked, QuestionPreprocessing
from lit_metanas.kinds.texts.vocabularies import Words

MOST_SENTENCES_READ = 10_000  # of an example
MOST_NUMBERS = 1 << 29  # in the inputs of a part, each of 4 bytes


@dataclass(frozen=True)
class QuestionSentences(QuestionPreprocessing):
    r"""Question and story as a series, whose first step is the question; the newest sentence comes next.

    A step says how often each word stands in a sentence, and where: the sum of its places, from 1 / n for the first of
    n words to 1 for the last. A linear map of both gives a sum of word vectors that are weighed by their places, as the
    position encoding of Sukhbaatar et al. (2015) is. So networks compare sentences, which are several times fewer
    than words. Of a story that is too long the oldest sentences are left out, of a long sentence the last words.

    Attributes:
        words: the words that it knows, and ``steps``, the words of a sentence at most.
        sentences: of a story at most.

    Raises:
        ValueError: ``sentences`` is out of its range.

    Example:
        >>> import lit_metanas as lm
        >>> story = ["Ada runs home.", "Tom sits down.", "Ada sits down."]
        >>> made = lm.kinds.QuestionSentences(lm.kinds.Words(least=1, steps=8), sentences=2).fitted(
        ...     ["who sits?", *story]
        ... )
        >>> inputs = made.encode([("Who sits?", story), "Who runs?\tAda runs home."])
        >>> made.show(inputs)
        ['who sits? | ada sits down. | tom sits down.', 'who runs? | ada runs home.']
        >>> inputs.shape, made.shape
        (torch.Size([2, 21, 3]), SeriesShape(features=21, steps=3))

    1. Sukhbaatar, Szlam, Weston, Fergus. End-To-End Memory Networks. NeurIPS 2015.
    """

    kind: ClassVar[str] = "question sentences"

    words: Words = field(default_factory=lambda: Words(least=1, steps=32))
    sentences: int = 32

    def __post_init__(self) -> None:
        check_range("QuestionSentences", sentences=(self.sentences, 1, MOST_SENTENCES_READ))

    @property
    def shape(self) -> SeriesShape:
        """Of one input: two features for each word, and the mask; the question, and the sentences."""
        return SeriesShape(2 * self._known + 1, self.sentences + 1)

    @property
    def room(self) -> str:
        """How much of a story an example holds."""
        return f"{self.sentences} sentences of {self.words.steps} words"

    def encode_stories(self, asked: Sequence[Asked]) -> tuple[Tensor, int]:
        """The inputs of questions about stories, shape ``(n, *shape)``, and how many of them lack a part of theirs.

        Raises:
            ValueError: they would fill the memory.
        """
        shape = self.shape
        if len(asked) * prod(shape) > MOST_NUMBERS:
            size, most = (4e-9 * numbers for numbers in (len(asked) * prod(shape), MOST_NUMBERS))
            raise ValueError(
                f"QuestionSentences: {number_of(len(asked), 'question')} of {shape.steps} steps with {shape.features} "
                f"features each take {size:.0f} GB, more than {most:.0f}: give fewer sentences, or words of a "
                "smaller size, such as Words(size=1000)."
            )
        step = cache(self._step)
        found, cut = torch.zeros(len(asked), *shape), 0
        for row, (question, story, seen, _) in zip(found, asked, strict=True):
            shown = [question, *(story[at] for at in range(seen - 1, max(-1, seen - 1 - self.sentences), -1))]
            row[:, : len(shown)] = torch.stack([step(text) for text in shown], 1)
            cut += seen > self.sentences or any(len(split_words(text)) > self.words.steps for text in shown)
        return found, cut

    def show(self, inputs: Tensor) -> list[str]:
        """Question and sentences, in small letters; what stands twice in a sentence is shown at its mean place."""
        texts = []
        for row in inputs:
            sentences = []
            for step in row[:, : int(row[-1].sum())].T:
                count, places = step[: self._known], step[self._known : -1]
                order = sorted(count.nonzero().flatten().tolist(), key=lambda at: float(places[at] / count[at]))
                tokens = [at + 1 for at in order for _ in range(int(count[at]))]
                sentences.append(self.words.show(torch.tensor([tokens]))[0])
            texts.append(f" {SEPARATOR_SHOWN} ".join(sentences))
        return texts

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {"words": self.words.to_plain(), "sentences": self.sentences}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        words, sentences = plain.get("words"), plain.get("sentences")
        if not isinstance(words, Mapping) or type(sentences) is not int:
            raise ValueError("QuestionSentences: the stored preprocessing lacks 'words' or 'sentences'.")
        return cls(Words.from_plain(words), sentences)

    @property
    def _known(self) -> int:
        """Words that it knows, and the unknown one."""
        return self.words.shape.vocabulary - UNKNOWN

    def _step(self, text: str) -> Tensor:
        """The features of a sentence, shape ``(features,)``."""
        (tokens,) = self.words.tokens([text])
        tokens = tokens[tokens != PADDING] - 1
        found = torch.zeros(self.shape.features)
        places = torch.arange(1, len(tokens) + 1) / len(tokens)
        found.index_add_(0, tokens, torch.ones(len(tokens)))
        found.index_add_(0, tokens + self._known, places)
        found[-1] = 1.0
        return found
