"""Tokens by number: what words, characters and byte pairs have in common."""

from __future__ import annotations

import reprlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
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
)


@dataclass(frozen=True)
class VocabularyTokens(TextPreprocessing):
    """Tokens of a vocabulary by number, above padding and the unknown one."""

    field: ClassVar[str]  # that holds the vocabulary
    wanted: ClassVar[str]
    smallest: ClassVar[int] = 1  # size of a vocabulary

    size: int
    least: int
    steps: int

    def __post_init__(self) -> None:
        owner, size = type(self).__name__, (self.size, self.smallest, MOST_VOCABULARY)
        check_range(owner, size=size, least=(self.least, 1), steps=(self.steps, 1, MOST_TOKEN_STEPS))
        known = self.vocabulary
        wrong = [token for token in known if not isinstance(token, str) or not self.is_token(token)]
        if wrong:
            raise ValueError(f"{owner}: {reprlib.repr(wrong[0])} is not {self.wanted}: leave it out.")
        if len(known) > self.size or len(set(known)) < len(known):
            raise ValueError(f"{owner}: the vocabulary has more than {self.size} {self.field}, or one twice.")

    @abstractmethod
    def is_token(self, text: str) -> bool:
        """Whether a text may be a token of the vocabulary."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """The tokens in the order of their numbers; empty before it is learned."""
        found: Sequence[str] = getattr(self, self.field)
        return found

    @property
    def shape(self) -> TokenShape:
        """Of one input."""
        return TokenShape(UNKNOWN + 1 + len(self.vocabulary), self.steps)

    def to_plain(self) -> dict[str, Any]:
        """The numbers and the vocabulary."""
        return {"size": self.size, "least": self.least, "steps": self.steps, self.field: list(self.vocabulary)}


class CountedTokens(VocabularyTokens):
    """Tokens whose vocabulary is counted on text: the most frequent first, equally frequent ones by the alphabet."""

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
        return self.with_vocabulary(kept[: self.size])

    def with_vocabulary(self, tokens: Sequence[str]) -> Self:
        """The same with a vocabulary."""
        changes: dict[str, Any] = {self.field: tuple(tokens)}
        return replace(self, **changes)

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text by number."""
        return [[self._numbers.get(token, UNKNOWN) for token in self.split(text)] for text in texts]

    def shown_tokens(self, inputs: Tensor) -> list[list[str]]:
        """The tokens of each text as they are written."""
        names = ("", UNKNOWN_SHOWN, *self.vocabulary)
        return [[names[token] for token in row if token != PADDING] for row in inputs.tolist()]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary, UNKNOWN + 1)}
