"""What turns sentences into inputs: the base, and words by number."""

from __future__ import annotations

import reprlib
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.inputs.tokens import (
    MOST_TOKEN_STEPS,
    MOST_VOCABULARY,
    UNKNOWN,
    UNKNOWN_SHOWN,
    TextPreprocessing,
    check_range,
    plain_list,
    plain_numbers,
    split_words,
)


@dataclass(frozen=True)
class Words(TextPreprocessing):
    """Lower-cased words and punctuation marks by number, most frequent first, above padding and the unknown word.

    Attributes:
        size: words of the vocabulary at most.
        least: how often a word stands in the text that the vocabulary is counted on, at least.
        steps: words of an example at most; what is behind them is cut off.
        words: the vocabulary; empty before it is counted. A source counts it on the text of its meta-train classes.

    Raises:
        ValueError: a number is out of its range, or a word stands twice or is none.

    Example:
        >>> import lit_metanas as lm
        >>> words = lm.kinds.Words(steps=6, least=1).fitted(["Book a table!", "Book a flight."])
        >>> words.encode(["book a train", ""])
        tensor([[3, 2, 1, 0, 0, 0],
                [1, 0, 0, 0, 0, 0]])
        >>> words.show(words.encode(["A table, please!"]))
        ['a table � �!']
    """

    kind: ClassVar[str] = "words"

    size: int = 20_000
    least: int = 2
    steps: int = 32
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_range("Words", size=(self.size, 1, MOST_VOCABULARY), least=(self.least, 1, sys.maxsize))
        check_range("Words", steps=(self.steps, 1, MOST_TOKEN_STEPS))
        wrong = [word for word in self.words if not isinstance(word, str) or split_words(word) != [word]]
        if wrong:
            raise ValueError(
                f"Words: {reprlib.repr(wrong[0])} is not a lower-cased word or a punctuation mark: leave it out."
            )
        if len(self.words) > self.size or len(set(self.words)) < len(self.words):
            raise ValueError(f"Words: the vocabulary has more than {self.size} words, or one twice.")

    @property
    def shape(self) -> TokenShape:
        """Of one input."""
        return TokenShape(UNKNOWN + 1 + len(self.words), self.steps)

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one; equally frequent words go by the alphabet.

        Raises:
            ValueError: no word is as frequent as ``least``.
        """
        if self.words:
            return self
        counts: Counter[str] = Counter()
        for text, repeated in groupby(texts):
            times = sum(1 for _ in repeated)
            for word, number in Counter(split_words(text)).items():
                counts[word] += times * number
        order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        words = tuple(word for word, count in order[: self.size] if count >= self.least)
        if not words:
            raise ValueError(
                f"Words: no word stands least = {self.least} times in the text that the vocabulary is counted on: give "
                "meta-train classes, or lower it."
            )
        return replace(self, words=words)

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The words of each text by number."""
        return [[self._numbers.get(word, UNKNOWN) for word in split_words(text)] for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """Each sentence, in small letters; unknown words as question marks in a diamond."""
        names = ("", UNKNOWN_SHOWN, *self.words)
        return [_sentence([names[token] for token in row if token != PADDING]) for row in inputs.tolist()]

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {"size": self.size, "least": self.least, "steps": self.steps, "words": list(self.words)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        words = plain_list("Words", plain, "words")
        return cls(**plain_numbers("Words", plain, "size", "least", "steps"), words=tuple(words))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, UNKNOWN + 1)}


def _sentence(words: Sequence[str]) -> str:
    """Words with spaces between, but for punctuation marks that stand close to a neighbour."""
    text = ""
    for word in words:
        text += word if not text or word in _CLOSE or text[-1] in _OPEN else f" {word}"
    return text


_CLOSE, _OPEN = frozenset(".,;:!?%)]}’。，、"), frozenset("([{¿¡")
