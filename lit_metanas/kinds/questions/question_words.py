"""Questions about stories: what makes a sequence of words of each, and a task of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import UNKNOWN, Preprocessing, word_places
from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.io.text import printable
from lit_metanas.kinds.texts.vocabularies import Words

FEWEST_STEPS = 4  # of an example
LONGEST_PASSAGE = 100_000  # characters of a question and its passage, which is read anew for each question
SEPARATOR_SHOWN = "|"  # between the question and the rest, as it is shown
_SENTENCE_END = re.compile(r"\n+|(?<=[.!?])\s+")


class Asked(NamedTuple):
    """A question about a story."""

    question: str
    story: Sequence[str]  # the oldest sentence first
    answer: str = ""


@dataclass(frozen=True)
class QuestionWords(Preprocessing):
    r"""Question and passage as one sequence of words: the question, a separator, and the passage.

    A sequence is padded behind its end, so the question stands at its begin, where it has the same places whatever the
    passage's length. Of a story the newest sentence comes next, and then older ones: the place of a sentence shows its
    age (as the temporal encoding of Sukhbaatar et al. 2015), and the oldest sentences are those that are left out where
    there are too many words. A passage is one text with the question, a tab and the passage, or a pair of these.

    Attributes:
        words: the words that it knows, and ``steps``, the words of an example at most. The question gets half of
            them at most.
        newest_first: whether the sentences stand in reverse order. Without, they are read as they are written, and what
            is behind ``steps`` is cut off, as of passages in which the answer is to be found.

    Raises:
        ValueError: there are too few steps.

    Example:
        >>> story = ["Ada runs home.", "Tom sits down.", "Ada sits down."]
        >>> questions = lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=11)).fitted(["who sits?", *story])
        >>> inputs = questions.encode([("Who sits?", story), "Who runs?\tAda runs home."])
        >>> questions.show(inputs)
        ['who sits? | ada sits down.', 'who runs? | ada runs home.']
        >>> inputs.shape, questions.shape
        (torch.Size([2, 11]), TokenShape(vocabulary=12, steps=11))
    """

    kind: ClassVar[str] = "question words"
    noun: ClassVar[str] = "questions"

    words: Words = field(default_factory=lambda: Words(least=1, steps=128))
    newest_first: bool = True

    def __post_init__(self) -> None:
        if self.words.steps < FEWEST_STEPS:
            raise ValueError(
                f"QuestionWords: steps = {self.words.steps} of its words must be at least {FEWEST_STEPS}: for "
                "question, separator and passage."
            )

    @property
    def shape(self) -> TokenShape:
        """Of one input."""
        return TokenShape(self.separator + 1, self.words.steps)

    @property
    def separator(self) -> int:
        """The token between question and passage: the last one."""
        return self.words.shape.vocabulary

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one."""
        return replace(self, words=self.words.fitted(texts))

    def encode(self, raw: Sequence[Any]) -> Tensor:
        """The inputs of questions with what they are asked of, shape ``(n, steps)``."""
        # Sentences are the lines of a passage, and what ends in a full stop, question or exclamation mark.
        return self.encode_stories(
            [
                Asked(question, [sentence for sentence in _SENTENCE_END.split(passage.strip()) if sentence])
                for question, passage in map(split_question, raw)
            ]
        )

    def encode_stories(self, asked: Sequence[Asked]) -> Tensor:
        """The inputs of questions about stories, shape ``(n, steps)``."""
        known: dict[str, list[int]] = {}
        found = torch.full((len(asked), self.words.steps), PADDING, dtype=torch.int64)
        for row, (question, story, _) in enumerate(asked):
            kept = self.begin(question)
            first = len(kept)
            for sentence in reversed(story) if self.newest_first else story:
                if sentence not in known:
                    known[sentence] = self.tokens(sentence)
                room = self.words.steps - len(kept)
                fits = len(known[sentence]) <= room
                if fits or not self.newest_first or len(kept) == first:
                    kept += known[sentence][:room]
                if not fits:  # and nothing behind it is looked at, so that no long story takes long
                    break
            found[row, : len(kept)] = torch.tensor(kept)
        return found

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, one for each of its ``word_places``."""
        return self.words.token_lists([" ".join(word for word, *_ in word_places(text))])[0]

    def begin(self, question: str) -> list[int]:
        """What stands before the passage: the tokens of the question, or their first ones, and the separator."""
        return [*(self.tokens(question)[: self.words.steps // 2] or [UNKNOWN]), self.separator]

    def answers(self, raw: Sequence[Any], spans: Sequence[tuple[int, int]]) -> list[str]:
        """The parts of passages that predicted steps stand for, as they are written there.

        Args:
            raw: the questions with their passages, as ``encode`` takes them.
            spans: the first and the last step of each, as ``Span`` predicts them. A part within the question is none.

        Raises:
            ValueError: the sentences do not stand in their order.
        """
        if self.newest_first:
            raise ValueError("QuestionWords: answers are parts of passages in their order: set newest_first to False.")
        texts = []
        for one, (start, end) in zip(raw, spans, strict=True):
            question, passage = split_question(one)
            places = word_places(passage)
            begin = len(self.begin(question))
            first, last = max(start - begin, 0), min(end - begin, len(places) - 1)
            texts.append(passage[places[first][1] : places[last][2]] if first <= last else "")
        return texts

    def show(self, inputs: Tensor) -> list[str]:
        """Question and passage, or a part of them, in small letters."""
        texts = []
        for row in inputs:
            at = [0, *((row == self.separator).nonzero().flatten() + 1).tolist(), len(row) + 1]
            parts = [row[begin : end - 1] for begin, end in pairwise(at)]
            shown = self.words.show(torch.nn.utils.rnn.pad_sequence(parts, batch_first=True))
            texts.append(f" {SEPARATOR_SHOWN} ".join(shown))
        return texts

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {"words": self.words.to_plain(), "newest_first": self.newest_first}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        words, order = plain.get("words"), plain.get("newest_first")
        if not isinstance(words, Mapping) or not isinstance(order, bool):
            raise ValueError("QuestionWords: the stored preprocessing lacks 'words' or 'newest_first'.")
        return cls(Words.from_plain(words), order)


def split_question(raw: object) -> tuple[str, str]:
    r"""The question and the passage of a raw example; a passage of several sentences has one a line."""
    parts = raw.split("\t", 1) if isinstance(raw, str) else raw
    if not isinstance(parts, Sequence) or len(parts) != 2:
        shown = printable(raw if isinstance(raw, str) else type(raw).__name__, 60)
        raise ValueError(f"'{shown}' is no question with a passage: give the question, a tab, and the passage.")
    question, passage = parts
    if not isinstance(passage, str):
        passage = "\n".join(map(str, passage))
    if not isinstance(question, str) or not question.strip() or not passage.strip():
        raise ValueError(f"The question '{printable(str(question), 60)}' or its passage is empty: give both.")
    if len(question) + len(passage) > LONGEST_PASSAGE:
        raise ValueError(
            f"The question '{printable(question, 60)}' and its passage have more than {LONGEST_PASSAGE} characters: "
            "shorten them."
        )
    return question, passage
