"""Tokens of a text by the tokenizer of a pretrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.inputs.tokens import UNKNOWN, TextPreprocessing, check_range, plain_list, plain_numbers
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import composed

TEXT_PART, MOST_TEXT_PARTS = 500_000, 64
"""Characters of each part of a stored tokenizer, and the most parts: longer texts are no plain values of a file."""


@dataclass(frozen=True)
class PretrainedTokens(TextPreprocessing):
    """Tokens by a tokenizer that others have made: the content of ``tokenizer.json``, in parts."""

    kind: ClassVar[str] = "pretrained tokens"

    tokenizer: tuple[str, ...]
    steps: int = 96

    def __post_init__(self) -> None:
        check_range("PretrainedTokens", steps=(self.steps, 1, 4096), parts=(len(self.tokenizer), 1, MOST_TEXT_PARTS))
        _ = self._made

    @classmethod
    def of(cls, content: str, steps: int = 96) -> Self:
        """The tokenizer of a file's content."""
        return cls(tuple(content[at : at + TEXT_PART] for at in range(0, len(content), TEXT_PART)), steps)

    @property
    def shape(self) -> TokenShape:
        """Of one input: each token by its number of the tokenizer, behind padding and the unknown token."""
        return TokenShape(UNKNOWN + 1 + self._made.get_vocab_size(), self.steps)

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        found = (self._made.encode(composed(text), add_special_tokens=False).ids for text in texts)
        return [[UNKNOWN + 1 + number for number in numbers] for numbers in found]

    def show(self, inputs: Tensor) -> list[str]:
        """Each text, as its tokens spell it."""
        numbers = [[token - UNKNOWN - 1 for token in row if token not in (PADDING, UNKNOWN)] for row in inputs.tolist()]
        return [" ".join(self._made.decode(row).split()) for row in numbers]

    def to_plain(self) -> dict[str, Any]:
        """The steps and the tokenizer."""
        return {"steps": self.steps, "tokenizer": list(self.tokenizer)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        parts = plain_list("PretrainedTokens", plain, "tokenizer")
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("PretrainedTokens: the stored tokenizer is no list of texts.")
        return cls(tuple(parts), **plain_numbers("PretrainedTokens", plain, "steps"))

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokenizer's numbers of what it puts around a text, such as of ``[CLS]`` and ``[SEP]``."""
        return tuple(self._made.encode("").ids)

    @cached_property
    def _made(self) -> Any:
        tokenizers = import_extra("tokenizers", "text", "PretrainedTokens")
        try:
            made = tokenizers.Tokenizer.from_str("".join(self.tokenizer))
        except Exception as error:  # of the class Exception itself
            reason = " ".join(str(error).split())[:100]
            raise ValueError(f"PretrainedTokens: the tokenizer cannot be read ({reason}): get it again.") from None
        made.no_truncation()
        made.no_padding()
        return made
