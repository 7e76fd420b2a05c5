"""Words, pairs of words and pieces of a text by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.tokens import UNKNOWN, TextPreprocessing, lower_cased, split_words
from lit_metanas.kinds.texts.vocabularies import CountedTokens

PIECES = range(2, 6)  # characters of a piece of a text, whose ends are spaces


@dataclass(frozen=True)
class NGrams(CountedTokens, TextPreprocessing):
    r"""The lower-cased words of a text, pairs of neighbouring ones, and pieces of two to five characters.

    Each stands once, in no order that means anything: they are for linear models (Joachims 1998). Words and pairs begin
    with a tab, and ``UNKNOWN`` stands between them and the pieces. What the vocabulary lacks is left out.

    Attributes:
        size: n-grams of the vocabulary at most.
        least: how many of the texts that the vocabulary is counted on have one, at least.
        steps: n-grams of an example at most; ``fitted`` lowers it to a quarter more than the texts need. The longest
            pieces are cut off first.
        grams: the vocabulary; empty before it is counted.
        across: whether pieces reach across words. Without, as in exports of earlier versions, they are those of single
            words, words have a space at both ends, and nothing stands between words and pieces.

    Raises:
        ValueError: a number is out of its range, or an n-gram stands twice or is none.

    Example:
        >>> grams = lm.kinds.NGrams(least=2).fitted(["so low", "so slow"])
        >>> grams.grams
        ('\tso', ' s', ' so', ' so ', 'lo', 'low', 'low ', 'o ', 'ow', 'ow ', 'so', 'so ', 'w ')
        >>> grams.show(grams.encode(["low, so low"]))
        ['so']

    Joachims. Text Categorization with Support Vector Machines. ECML 1998.
    """

    kind: ClassVar[str] = "grams"
    field: ClassVar[str] = "grams"
    wanted: ClassVar[str] = "a lower-cased word, pair of words or piece of a text"

    size: int = 262_144
    least: int = 1
    steps: int = 2_000
    grams: tuple[str, ...] = ()
    across: bool = True

    def split(self, text: str) -> list[str]:
        """The n-grams of a text, each once: words and pairs in their order, an empty one, and then pieces."""
        words, begin, end = split_words(text), "\t", ""
        if not self.across:
            begin = end = " "
        whole = [
            begin + " ".join(words[at : at + size]) + end for size in (1, 2) for at in range(len(words) - size + 1)
        ]
        lines = whole[: len(words)]
        if self.across:
            lines = ["", f" {' '.join(lower_cased(text).split())} "]
        pieces = (one[at : at + size] for one in lines for size in PIECES for at in range(len(one) - 1))
        return list(dict.fromkeys([*whole, *lines[: self.across], *pieces]))

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
        known = {**self._numbers, "": UNKNOWN}
        return [[known[gram] for gram in self.split(text) if gram in known] for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """The known words of each text, each once."""
        rows = ([gram for gram in row if self._is_word(gram)] for row in self.shown_tokens(inputs))
        return [" ".join(gram.strip() for gram in row) for row in rows]

    def _is_word(self, gram: str) -> bool:
        """Whether an n-gram is a whole word."""
        whole = gram[0] == "\t" if self.across else gram[0] == gram[-1] == " "
        return whole and " " not in gram.strip()

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary, and whether pieces reach across words."""
        return {**super().to_plain(), "across": self.across}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        return replace(super().from_plain(plain), across=plain.get("across") is True)
