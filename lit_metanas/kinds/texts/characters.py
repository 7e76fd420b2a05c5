"""Characters by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.tokens import plain_numbers
from lit_metanas.io.text import composed, is_text
from lit_metanas.kinds.texts.vocabularies import CountedTokens


@dataclass(frozen=True)
class Characters(CountedTokens):
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
        >>> characters = lm.Characters(steps=6).fitted(["banana", "Nab"])
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

    def with_vocabulary(self, tokens: Sequence[str]) -> Self:
        """The same with a vocabulary."""
        return replace(self, characters="".join(tokens))

    def show(self, inputs: Tensor) -> list[str]:
        """Each text; unknown characters as question marks in a diamond."""
        return ["".join(characters) for characters in self.shown_tokens(inputs)]

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {**super().to_plain(), "characters": self.characters}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        if not isinstance(plain.get("characters"), str):
            raise ValueError("Characters: the stored preprocessing has no text 'characters'.")
        numbers = plain_numbers("Characters", plain, "size", "least", "steps")
        return cls(**numbers, characters=plain["characters"])


MOST_PAIR_STEPS = Characters().steps
"""Characters of a text that is to be written or read for it, at most."""


def characters_for(texts: Iterable[str]) -> Characters:
    """What makes inputs or targets of some texts: of the steps that the longest needs, and some for longer ones."""
    return Characters(steps=min(MOST_PAIR_STEPS, 2 + 5 * max(map(len, texts)) // 4))
