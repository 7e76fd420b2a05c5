"""Characters by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
    plain_numbers,
)
from lit_metanas.io.text import composed, is_text


@dataclass(frozen=True)
class Characters(TextPreprocessing):
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
        >>> import lit_metanas as lm
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

    size: int = 5_000
    least: int = 1
    steps: int = 64
    characters: str = ""

    def __post_init__(self) -> None:
        check_range("Characters", size=(self.size, 1, MOST_VOCABULARY), least=(self.least, 1, MOST_VOCABULARY))
        check_range("Characters", steps=(self.steps, 1, MOST_TOKEN_STEPS))
        if not isinstance(self.characters, str):
            raise ValueError("Characters: the vocabulary is no text: give its characters one behind the other.")
        wrong = next((one for one in self.characters if not _is_character(one)), None)
        if wrong is not None:
            raise ValueError(f"Characters: {wrong!r} is not a character in composed form: leave it out.")
        if len(self.characters) > self.size or len(set(self.characters)) < len(self.characters):
            raise ValueError(f"Characters: the vocabulary has more than {self.size} characters, or one twice.")

    @property
    def shape(self) -> TokenShape:
        """Of one input."""
        return TokenShape(UNKNOWN + 1 + len(self.characters), self.steps)

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one; equally frequent ones go by their code.

        Raises:
            ValueError: no character is as frequent as ``least``.
        """
        if self.characters:
            return self
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(composed(text))
        order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        kept = [character for character, count in order if count >= self.least and _is_character(character)]
        if not kept:
            raise ValueError(
                f"Characters: none stands least = {self.least} times in the text that the vocabulary is counted on: "
                "give meta-train classes, or lower it."
            )
        return replace(self, characters="".join(kept[: self.size]))

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The characters of each text by number."""
        return [[self._numbers.get(character, UNKNOWN) for character in composed(text)] for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """Each text; unknown characters as question marks in a diamond."""
        names = ("", UNKNOWN_SHOWN, *self.characters)
        return ["".join(names[token] for token in row if token != PADDING) for row in inputs.tolist()]

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {"size": self.size, "least": self.least, "steps": self.steps, "characters": self.characters}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        if not isinstance(plain.get("characters"), str):
            raise ValueError("Characters: the stored preprocessing has no text 'characters'.")
        numbers = plain_numbers("Characters", plain, "size", "least", "steps")
        return cls(**numbers, characters=plain["characters"])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters, UNKNOWN + 1)}


def _is_character(character: str) -> bool:
    """Whether it stays as it is when composed, and can be written in UTF-8."""
    return is_text(character) and composed(character) == character


MOST_PAIR_STEPS = Characters().steps
"""Characters of a text that is to be written or read for it, at most."""


def characters_for(texts: Iterable[str]) -> Characters:
    """What makes inputs or targets of some texts: of the steps that the longest needs, and some for longer ones."""
    return Characters(steps=min(MOST_PAIR_STEPS, 2 + 5 * max(map(len, texts)) // 4))
