"""What turns raw examples into a network's inputs; of texts, how they split into words, and their tokens."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from numbers import Integral
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import PADDING, Shape
from lit_metanas.io.text import composed, short_value

UNKNOWN = 1  # the token of a word that the vocabulary lacks, and of an empty sentence; those of the vocabulary follow

MOST_VOCABULARY, MOST_TOKEN_STEPS = 1_000_000, 10_000  # tokens of a vocabulary, and of one example

UNKNOWN_SHOWN = "\N{REPLACEMENT CHARACTER}"  # what an unknown word is shown as

_LONGEST_WORD = 100  # characters, of which a longer text is not looked at


class Preprocessing(ABC):
    """Turns raw examples into a network's inputs. It is stored with an exported network, as plain values.

    Attributes:
        kind: what it is called in ``model.json``.
        noun: what raw examples are, in the plural.

    Example:
        >>> class Letters(lm.Preprocessing):
        ...     kind = "letters"
        ...     shape = lm.TokenShape(vocabulary=128, steps=4)
        ...     def encode(self, raw):
        ...         return torch.tensor([[ord(letter) for letter in text.ljust(4, chr(0))[:4]] for text in raw])
        ...     def show(self, inputs):
        ...         return ["".join(map(chr, row)).rstrip(chr(0)) for row in inputs.tolist()]
        ...     def to_plain(self):
        ...         return {}
        ...     @classmethod
        ...     def from_plain(cls, plain):
        ...         return cls()
        >>> letters = Letters()
        >>> letters.show(letters.encode(["no", "yes"]))
        ['no', 'yes']
    """

    kind: ClassVar[str]
    noun: ClassVar[str] = "examples"

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Of one input."""

    @abstractmethod
    def encode(self, raw: Sequence[Any]) -> Tensor:
        """The inputs of raw examples, shape ``(n, *shape)``, padded and cut to the shape's steps.

        Raises:
            ValueError: one of them is no such example.
        """

    @abstractmethod
    def show(self, inputs: Tensor) -> list[str]:
        """Each input as a person reads it, in a line."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """All that it depends on, as JSON holds it."""

    def described(self) -> dict[str, Any]:
        """Its kind and all that it depends on, as JSON holds it."""
        return {"kind": self.kind, **self.to_plain()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its kind and ``to_plain``, worked out once.

        Raises:
            ValueError: ``to_plain`` holds what JSON does not.
        """
        try:
            described = json.dumps([self.kind, self.to_plain()], sort_keys=True)
        except TypeError as error:
            raise ValueError(
                f"{type(self).__name__}: what 'to_plain' tells is not plain ({error}): give only what JSON holds."
            ) from None
        return hashlib.sha256(described.encode()).hexdigest()

    @classmethod
    def checked(cls, preprocessing: Preprocessing, place: str) -> Self:
        """What made the inputs of a meta-training, if it is of this kind.

        Args:
            preprocessing: of raw examples.
            place: where one's own examples are from, as the message begins.

        Raises:
            ValueError: it is for other examples.
        """
        if not isinstance(preprocessing, cls):
            raise ValueError(
                f"'{place}' holds {cls.noun}, and the checkpoint was meta-trained on {preprocessing.noun}: give one "
                f"that was meta-trained on {cls.noun}."
            )
        return preprocessing

    @classmethod
    @abstractmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: something is missing, or out of its range.
        """


class TextPreprocessing(Preprocessing):
    """Turns sentences into tokens by number, which are a network's inputs.

    One that learns something of text, such as a vocabulary, is given to a source without it, and fitted on the text of
    the meta-train classes.

    Token 1 (``UNKNOWN``) must be that of an unknown word, and no word's: it is what an empty sentence gets, and what
    augmentation puts in place of words.

    Attributes:
        steps: tokens of an example at most; what is behind them is cut off.

    Example:
        >>> class Letters(lm.inputs.TextPreprocessing):
        ...     kind = "letters"
        ...     steps = 5
        ...     shape = lm.TokenShape(vocabulary=128, steps=5)
        ...     def token_lists(self, texts):
        ...         return [[ord(letter) % 128 for letter in text] for text in texts]
        ...     def show(self, inputs):
        ...         return ["".join(map(chr, row)).rstrip(chr(0)) for row in inputs.tolist()]
        ...     def to_plain(self):
        ...         return {}
        ...     @classmethod
        ...     def from_plain(cls, plain):
        ...         return cls()
        >>> Letters().encode(["yes", ""])
        tensor([[121, 101, 115,   0,   0],
                [  1,   0,   0,   0,   0]])
    """

    noun: ClassVar[str] = "texts"
    steps: int

    @abstractmethod
    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, uncut, above ``PADDING``; none for an empty text."""

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with what it learns of text, unless it has it."""
        return self

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """The tokens of texts, padded and cut, shape ``(n, steps)``, int64; at least one of each text.

        Raises:
            ValueError: one is no text.
        """
        if wrong := [type(text).__name__ for text in texts if not isinstance(text, str)]:
            raise ValueError(f"An example is a {wrong[0]}, not a text: give texts.")
        found = torch.full((len(texts), self.steps), PADDING, dtype=torch.int64)
        for row, tokens in enumerate(self._first_tokens(texts)):
            kept = tokens[: self.steps] or [UNKNOWN]
            found[row, : len(kept)] = torch.tensor(kept)
        return found

    def whole(self, texts: Sequence[str]) -> list[bool]:
        """Whether nothing of each text is cut off."""
        return [len(tokens) <= self.steps for tokens in self._first_tokens(texts)]

    def _first_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # Nothing behind the longest word that would count is looked at, so that no text takes long.
        return self.token_lists([text[: _LONGEST_WORD * self.steps] for text in texts])

    def encode(self, raw: Sequence[Any]) -> Tensor:
        """The inputs of texts, shape ``(n, *shape)``."""
        return self.tokens(raw)


def split_words(text: str) -> list[str]:
    """The lower-cased words and punctuation marks of a text."""
    return _pattern().findall(lower_cased(text))


def lower_cased(text: str) -> str:
    """A text in small letters, each composed as far as it can be: some are in small alone, such as ǰ and ẖ."""
    return composed(composed(text).lower())


def word_places(text: str) -> list[tuple[str, int, int]]:
    """The same as ``split_words``, each with the characters of the text that it was made of: from, and up to."""
    return [(word, *match.span()) for match in _pattern().finditer(text) for word in split_words(match.group())]


@cache
def _pattern() -> re.Pattern[str]:
    """Words with apostrophes within, else single marks. Vowel signs, as of Hindi, are no letters to ``re``."""
    signs = [chr(code) for code in range(0x300, 0x20D0) if unicodedata.category(chr(code)).startswith("M")]
    letter = rf"[\w{''.join(signs)}]"
    return re.compile(rf"{letter}+(?:['’]{letter}+)*|\S")


def check_range(owner: str, **numbers: tuple[Any, int] | tuple[Any, int, int]) -> None:
    """Refuse a number that is not whole or out of its range; each is given with its least and perhaps largest value."""
    for name, (value, least, *most) in numbers.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < least or (most and value > most[0]):
            bounds = f"from {least} to {most[0]}" if most else f"at least {least}"
            raise ValueError(f"{owner}: {name} = {short_value(value)} must be a whole number, {bounds}.")


def plain_numbers(owner: str, plain: Mapping[str, Any], *names: str) -> dict[str, int]:
    """Whole numbers of a stored preprocessing by their names; their range is the constructor's matter."""
    try:
        return {name: plain[name] for name in names}
    except KeyError as missing:
        raise ValueError(f"{owner}: the stored preprocessing has no {missing}.") from None


def plain_list(owner: str, plain: Mapping[str, Any], name: str) -> list[Any]:
    """A list of a stored preprocessing."""
    if not isinstance(plain.get(name), list):
        raise ValueError(f"{owner}: the stored preprocessing has no list '{name}'.")
    return list(plain[name])
