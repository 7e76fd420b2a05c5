"""Words, pairs of words and pieces of words by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.tokens import TextPreprocessing, lower_cased, plain_list, plain_numbers, split_words
from lit_metanas.kinds.texts.vocabularies import CountedTokens

PIECES = range(2, 6)
"""Characters of a piece of a word, whose ends are characters, too."""


@dataclass(frozen=True)
class NGrams(CountedTokens, TextPreprocessing):
    """The lower-cased words of a text, pairs of neighbouring ones, and their pieces of two to five characters.

    Each stands once, in no order that means anything: they are for linear models (Joachims 1998, Joulin et al. 2017).
    Words have a space at both ends, of which pieces may hold one. What the vocabulary lacks is left out.

    Attributes:
        size: n-grams of the vocabulary at most.
        least: how often one stands in the text that the vocabulary is counted on, at least.
        steps: n-grams of an example at most; ``fitted`` lowers it to a quarter more than the texts need. Pieces of the
            last words are cut off first.
        grams: the vocabulary; empty before it is counted.

    Raises:
        ValueError: a number is out of its range, or an n-gram stands twice or is none.

    Example:
        >>> grams = lm.kinds.NGrams().fitted(["so low", "so slow"])
        >>> grams.grams
        (' s', ' so', ' so ', 'lo', 'low', 'low ', 'o ', 'ow', 'ow ', 'so', 'so ', 'w ')
        >>> grams.show(grams.encode(["low, so low"]))
        ['so']

    1. Joachims. Text Categorization with Support Vector Machines. ECML 1998.
    2. Joulin, Grave, Bojanowski, Mikolov. Bag of Tricks for Efficient Text Classification. EACL 2017.
    """

    kind: ClassVar[str] = "grams"
    field: ClassVar[str] = "grams"
    wanted: ClassVar[str] = "a lower-cased word, pair of words or piece of a word"

    size: int = 60_000
    least: int = 2
    steps: int = 1_000
    grams: tuple[str, ...] = ()

    def split(self, text: str) -> list[str]:
        """The n-grams of a text, each once: words and pairs in their order, and then pieces."""
        words = split_words(text)
        whole = [f" {' '.join(words[at : at + size])} " for size in (1, 2) for at in range(len(words) - size + 1)]
        pieces = (one[at : at + size] for one in whole[: len(words)] for size in PIECES for at in range(len(one) - 1))
        return list(dict.fromkeys([*whole, *pieces]))

    def is_token(self, text: str) -> bool:
        """Whether it is a piece of words in small letters."""
        return len(text) > 1 and bool(text.strip()) and lower_cased(text) == text

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one."""
        if self.grams:
            return self
        own = list(texts)
        made = super().fitted(own)
        longest = max(map(len, made.token_lists(own)))
        return replace(made, steps=min(self.steps, 2 + 5 * longest // 4))

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The known n-grams of each text by number."""
        return [[self._numbers[gram] for gram in self.split(text) if gram in self._numbers] for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """The known words of each text, each once."""
        shown = ([gram[1:-1] for gram in row if gram[0] == gram[-1] == " "] for row in self.shown_tokens(inputs))
        return [" ".join(word for word in row if " " not in word) for row in shown]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        grams = plain_list("NGrams", plain, "grams")
        return cls(**plain_numbers("NGrams", plain, "size", "least", "steps"), grams=tuple(grams))
