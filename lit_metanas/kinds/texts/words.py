"""Words by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.tokens import plain_list, plain_numbers, split_words
from lit_metanas.kinds.texts.vocabularies import CountedTokens

_CLOSE, _OPEN = frozenset(".,;:!?%)]}’。，、"), frozenset("([{¿¡")


@dataclass(frozen=True)
class Words(CountedTokens):
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
        >>> words = lm.Words(steps=6, least=1).fitted(["Book a table!", "Book a flight."])
        >>> words.encode(["book a train", ""])
        tensor([[3, 2, 1, 0, 0, 0],
                [1, 0, 0, 0, 0, 0]])
        >>> words.show(words.encode(["A table, please!"]))
        ['a table � �!']
    """

    kind: ClassVar[str] = "words"
    field: ClassVar[str] = "words"
    wanted: ClassVar[str] = "a lower-cased word or a punctuation mark"

    size: int = 20_000
    least: int = 2
    steps: int = 32
    words: tuple[str, ...] = ()

    def split(self, text: str) -> list[str]:
        """The words and punctuation marks of a text."""
        return split_words(text)

    def is_token(self, text: str) -> bool:
        """Whether it is one word in small letters, or a mark."""
        return split_words(text) == [text]

    def show(self, inputs: Tensor) -> list[str]:
        """Each sentence, in small letters; unknown words as question marks in a diamond."""
        return [_sentence(words) for words in self.shown_tokens(inputs)]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        words = plain_list("Words", plain, "words")
        return cls(**plain_numbers("Words", plain, "size", "least", "steps"), words=tuple(words))


def _sentence(words: Sequence[str]) -> str:
    """Words with spaces between, but for punctuation marks that stand close to a neighbour."""
    text = ""
    for word in words:
        text += word if not text or word in _CLOSE or text[-1] in _OPEN else f" {word}"
    return text
