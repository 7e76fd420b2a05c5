"""Words, characters and n-grams by number, and the base of tokens that a vocabulary numbers."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar, Self, cast

from torch import Tensor

from lit_metanas.inputs.preprocessing import (
    MOST_TOKEN_STEPS,
    MOST_VOCABULARY,
    UNKNOWN,
    UNKNOWN_SHOWN,
    TextPreprocessing,
    check_range,
    lower_cased,
    plain_list,
    plain_numbers,
    split_words,
)
from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.io.text import composed, is_text


@dataclass(frozen=True)
class VocabularyTokens(ABC):
    """What preprocessings have in common whose tokens a vocabulary numbers, above padding and the unknown one."""

    field: ClassVar[str]  # that holds the vocabulary
    wanted: ClassVar[str]  # what a token must be, as messages end
    smallest: ClassVar[int] = 1  # size of a vocabulary

    size: int
    least: int
    steps: int

    def __post_init__(self) -> None:
        owner, size = type(self).__name__, (self.size, self.smallest, MOST_VOCABULARY)
        check_range(owner, size=size, least=(self.least, 1), steps=(self.steps, 1, MOST_TOKEN_STEPS))
        known = self.vocabulary
        if wrong := [token for token in known if not isinstance(token, str) or not self.is_token(token)]:
            raise ValueError(f"{owner}: {reprlib.repr(wrong[0])} is not {self.wanted}: leave it out.")
        if len(known) > self.size or len(set(known)) < len(known):
            raise ValueError(f"{owner}: the vocabulary has more than {self.size} {self.field}, or one twice.")

    @abstractmethod
    def is_token(self, text: str) -> bool:
        """Whether a text may be a token of the vocabulary."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """The tokens in the order of their numbers; empty before it is learned."""
        return cast(Sequence[str], getattr(self, self.field))

    @property
    def shape(self) -> TokenShape:
        """Of one input."""
        return TokenShape(UNKNOWN + 1 + len(self.vocabulary), self.steps)

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        known = self.vocabulary if isinstance(self.vocabulary, str) else list(self.vocabulary)
        return {"size": self.size, "least": self.least, "steps": self.steps, self.field: known}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        values: dict[str, Any] = {cls.field: tuple(plain_list(cls.__name__, plain, cls.field))}
        return cls(**plain_numbers(cls.__name__, plain, "size", "least", "steps"), **values)


class CountedTokens(VocabularyTokens):
    """Those whose vocabulary is counted on text: the most frequent first, equally frequent ones by the alphabet."""

    @abstractmethod
    def split(self, text: str) -> Sequence[str]:
        """The tokens of a text."""

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one.

        Raises:
            ValueError: no token is as frequent as ``least``.
        """
        if self.vocabulary:
            return self
        counts: Counter[str] = Counter()
        # A passage stands once for each of its questions, one behind the other: it is split once.
        for text, repeated in groupby(texts):
            times = sum(1 for _ in repeated)
            for token, number in Counter(self.split(text)).items():
                counts[token] += times * number
        order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        kept = [token for token, count in order if count >= self.least and self.is_token(token)]
        if not kept:
            raise ValueError(
                f"{type(self).__name__}: none stands least = {self.least} times in the text that the vocabulary is "
                "counted on: give meta-train classes, or lower it."
            )
        made: Any = "".join if isinstance(self.vocabulary, str) else tuple
        return replace(self, **{self.field: made(kept[: self.size])})

    def is_token(self, text: str) -> bool:
        """Whether a text may be a token of the vocabulary: if it does not split."""
        return [*self.split(text)] == [text]

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text by number."""
        return [[self._numbers.get(token, UNKNOWN) for token in self.split(text)] for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """Each text, unknown tokens as question marks in a diamond."""
        names = ("", UNKNOWN_SHOWN, *self.vocabulary)
        return [self._joined([names[token] for token in row if token != PADDING]) for row in inputs.tolist()]

    @abstractmethod
    def _joined(self, tokens: Sequence[str]) -> str:
        """A text of some tokens."""

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary, UNKNOWN + 1)}


PIECES = range(2, 6)  # characters of a piece of a text, whose ends are spaces
_CLOSE, _OPEN = frozenset(".,;:!?%)]}’。，、"), frozenset("([{¿¡")


@dataclass(frozen=True)
class Words(CountedTokens, TextPreprocessing):
    """Lower-cased words and punctuation marks by number, most frequent first, above padding and the unknown word.

    Attributes:
        size: words of the vocabulary at most.
        least: how often a word stands in the text that the vocabulary is counted on, at least.
        steps: words of an example at most; what is behind them is cut off.
        words: the vocabulary; empty before it is counted. A source counts it on the text of its meta-train classes.

    Raises:
        ValueError: a number is out of its range, or a word stands twice or is none.

    Example:
        >>> words = lm.kinds.Words(steps=6, least=1).fitted(["Book a table!", "Book a flight."])
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

    def _joined(self, tokens: Sequence[str]) -> str:
        # Spaces stand between words, but not where a punctuation mark stands close to its neighbour.
        text = ""
        for word in tokens:
            text += word if not text or word in _CLOSE or text[-1] in _OPEN else f" {word}"
        return text


@dataclass(frozen=True)
class Characters(CountedTokens, TextPreprocessing):
    """Characters by number, most frequent first, above padding and the unknown character.

    Capitals and spaces are characters like others, so that a text of known ones is shown as it was, in composed letters
    (Unicode's form NFC). It suits short texts whose spelling matters, such as words and their pronunciations.

    Attributes:
        size: characters of the vocabulary at most.
        least: how often a character stands in the text that the vocabulary is counted on, at least.
        steps: characters of an example at most; what is behind them is cut off.
        characters: the vocabulary, in the order of its numbers; empty before it is counted. A source counts it on the
            text of its meta-train classes.

    Raises:
        ValueError: a number is out of its range, or a character stands twice or is none.

    Example:
        >>> characters = lm.kinds.Characters(steps=6).fitted(["banana", "Nab"])
        >>> characters.characters
        'abnN'
        >>> characters.encode(["ban", "Bann"])
        tensor([[3, 2, 4, 0, 0, 0],
                [1, 2, 4, 4, 0, 0]])
        >>> characters.show(characters.encode(["Nab", "cab"]))
        ['Nab', '�ab']
    """

    kind: ClassVar[str] = "characters"
    field: ClassVar[str] = "characters"
    wanted: ClassVar[str] = "a character in composed form"

    size: int = 5_000
    least: int = 1
    steps: int = 64
    characters: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.characters, str):
            raise ValueError("Characters: the vocabulary is no text: give its characters one behind the other.")
        super().__post_init__()

    def split(self, text: str) -> str:
        """The composed characters of a text."""
        return composed(text)

    def is_token(self, text: str) -> bool:
        """Whether a character stays as it is when composed, and can be written in UTF-8."""
        return is_text(text) and composed(text) == text

    def _joined(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        if not isinstance(plain.get("characters"), str):
            raise ValueError("Characters: the stored preprocessing has no text 'characters'.")
        return cls(**plain_numbers("Characters", plain, "size", "least", "steps"), characters=plain["characters"])


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
        return replace(made, steps=min(self.steps, 2 + 5 * max(map(len, made.token_lists(own))) // 4))

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The known n-grams of each text by number."""
        known = {**self._numbers, "": UNKNOWN}
        return [[known[gram] for gram in self.split(text) if gram in known] for text in texts]

    def _joined(self, tokens: Sequence[str]) -> str:
        return " ".join(gram.strip() for gram in tokens if self._is_word(gram))

    def _is_word(self, gram: str) -> bool:
        whole = gram[0] == "\t" if self.across else gram[0] == gram[-1] == " "
        return whole and " " not in gram.strip()

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary, and whether pieces reach across words."""
        return {**super().to_plain(), "across": self.across}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        return replace(super().from_plain(plain), across=plain.get("across") is True)


def characters_for(texts: Iterable[str]) -> Characters:
    """What makes inputs or targets of some texts: of the steps that the longest needs, and some for longer ones."""
    return Characters(steps=min(Characters.steps, 2 + 5 * max(map(len, texts)) // 4))
