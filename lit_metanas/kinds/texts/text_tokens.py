"""Tokens by the package ``tokenizers``, learned of one's texts or by others, and tokens of two preprocessings."""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import (
    UNKNOWN,
    Preprocessing,
    TextPreprocessing,
    check_range,
    lower_cased,
    plain_list,
    plain_numbers,
)
from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import composed
from lit_metanas.kinds.texts.vocabularies import Characters, NGrams, VocabularyTokens, Words
from lit_metanas.tasks import Split, Task

SINGLE_BYTES = 256  # pieces, of which any text can be made
# Characters of each part of a stored tokenizer, and the most parts: a longer text is no plain value of a file.
TEXT_PART, MOST_TEXT_PARTS = 500_000, 64
# A word, or white space, is learned from its begin alone: to join 100,000 equal letters takes 20 seconds.
_LONG_RUN = re.compile(r"((?<!\S)\S{1000})\S+|((?<!\s)\s{1000})\s+")


@dataclass(frozen=True)
class BytePairs(VocabularyTokens, TextPreprocessing):
    """Pieces of words by number: bytes, and the pairs of pieces that stood together most often (Sennrich et al. 2016).

    No character is unknown, as all are made of bytes; so it suits many languages, and those that put no spaces between
    words. Letters are lower-cased. It needs the package ``tokenizers``: ``pip install 'lit-metanas[text]'``.

    Attributes:
        size: pieces of the vocabulary at most, the 256 bytes among them.
        least: how often a pair stands in the text that the vocabulary is made of, at least.
        steps: pieces of an example at most; what is behind them is cut off.
        pieces: the vocabulary, in the order of its numbers, written in the letters that ``tokenizers`` writes bytes as;
            empty before it is made. A source makes it of the text of its meta-train classes.
        merges: the pairs of pieces that make one, in the order in which they are joined.

    Raises:
        ValueError: a number is out of its range, a piece stands twice, or a pair makes no piece.

    Example:
        >>> pairs = lm.kinds.BytePairs(size=260, steps=8).fitted(["low", "lower", "lowest"])
        >>> pairs.shape
        TokenShape(vocabulary=261, steps=8)
        >>> pairs.show(pairs.encode(["slow", "größer"]))
        ['slow', 'größer']

    1. Sennrich, Haddow, Birch. Neural Machine Translation of Rare Words with Subword Units. ACL 2016.
    """

    kind: ClassVar[str] = "byte pairs"
    field: ClassVar[str] = "pieces"
    wanted: ClassVar[str] = "a piece of text"
    smallest: ClassVar[int] = SINGLE_BYTES

    size: int = 4_000
    least: int = 2
    steps: int = 48
    pieces: tuple[str, ...] = ()
    merges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        known = set(self.pieces)
        for pair in self.merges:
            if len(pair) != 2 or not {*pair} <= known or "".join(pair) not in known:
                raise ValueError(f"BytePairs: {reprlib.repr(pair)} is not a pair of pieces that makes a third one.")

    def is_token(self, text: str) -> bool:
        """Whether it is a piece: any text but an empty one."""
        return bool(text)

    def fitted(self, texts: Iterable[str]) -> Self:
        """The same with the vocabulary of some texts, unless it has one."""
        if self.pieces:
            return self
        tokenizers = import_extra("tokenizers", "text", "BytePairs")
        made = self._made()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=self.size,
            min_frequency=self.least,
            show_progress=False,
            initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        )
        # Once `tokenizers` has used several threads, it warns in each process that is forked later.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        made.train_from_iterator((_plain_letters(_LONG_RUN.sub(r"\1\2", text)) for text in texts), trainer)
        model = json.loads(made.to_str())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return replace(self, pieces=tuple(pieces), merges=tuple(map(tuple, model["merges"])))

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The pieces of each text by number."""
        return [_tokens_of(_plain_letters(text), self._tokenizer) for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """Each text, in small letters."""
        return [_text_of(row, self._tokenizer) for row in inputs.tolist()]

    def to_plain(self) -> dict[str, Any]:
        """The numbers, and the vocabulary and pairs as ``tokenizers`` has them in JSON."""
        return {**super().to_plain(), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        merges = plain_list("BytePairs", plain, "merges")
        if not all(isinstance(pair, list) and all(isinstance(piece, str) for piece in pair) for pair in merges):
            raise ValueError("BytePairs: the stored pairs are no lists of two texts.")
        return replace(super().from_plain(plain), merges=tuple(map(tuple, merges)))

    @cached_property
    def _tokenizer(self) -> Any:
        return self._made(vocab={piece: number for number, piece in enumerate(self.pieces)}, merges=list(self.merges))

    def _made(self, **options: Any) -> Any:
        tokenizers = import_extra("tokenizers", "text", "BytePairs")
        made = tokenizers.Tokenizer(tokenizers.models.BPE(**options))
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = tokenizers.decoders.ByteLevel()
        return made


def _tokens_of(text: str, tokenizer: Any) -> list[int]:
    return [UNKNOWN + 1 + number for number in tokenizer.encode(text, add_special_tokens=False).ids]


def _text_of(tokens: Sequence[int], tokenizer: Any) -> str:
    known = [token - UNKNOWN - 1 for token in tokens if token not in (PADDING, UNKNOWN)]
    return " ".join(tokenizer.decode(known).split())


def _plain_letters(text: str) -> str:
    """Lower-cased, in composed letters, and with question marks for what UTF-8 has no bytes for."""
    return lower_cased(text).encode("utf-8", "replace").decode()


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
        return [_tokens_of(composed(text), self._made) for text in texts]

    def show(self, inputs: Tensor) -> list[str]:
        """Each text, as its tokens spell it."""
        return [_text_of(row, self._made) for row in inputs.tolist()]

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
        # A stored tokenizer may cut and pad texts itself, which is done by `tokens` here.
        made.no_truncation()
        made.no_padding()
        return made


Part = Words | Characters | BytePairs | NGrams | PretrainedTokens


@dataclass(frozen=True)
class JoinedTokens(Preprocessing):
    """The tokens of each text by two preprocessings, one behind the other, for two networks that read them apart.

    Both number their tokens from 1: a number means one thing among the first tokens, and another behind them.
    """

    kind: ClassVar[str] = "joined tokens"
    noun: ClassVar[str] = "texts"

    first: Part
    second: Part

    @property
    def shape(self) -> TokenShape:
        """Of one input: the steps of both, and the larger vocabulary."""
        one, other = self.first.shape, self.second.shape
        return TokenShape(max(one.vocabulary, other.vocabulary), one.steps + other.steps)

    def encode(self, raw: Sequence[str]) -> Tensor:
        """The inputs of texts, shape ``(n, steps)``, int64."""
        return torch.cat([self.first.encode(raw), self.second.encode(raw)], 1)

    def show(self, inputs: Tensor) -> list[str]:
        """Each text as the first one shows it."""
        return self.first.show(inputs[:, : self.first.steps])

    def to_plain(self) -> dict[str, Any]:
        """Kind and values of both."""
        return {"parts": [self.first.described(), self.second.described()]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``."""
        parts = plain.get("parts")
        if not isinstance(parts, list) or len(parts) != 2:
            raise ValueError("JoinedTokens: the stored preprocessing has no two 'parts'.")
        return cls(*map(tokens_from_plain, parts))


def joined_task(task: Task, other: Task) -> Task | None:
    """A task with the tokens of both; None where that is not what the preprocessings would make of new texts."""
    first, second = task.preprocessing, other.preprocessing
    if not (
        isinstance(first, Part)
        and isinstance(second, Part)
        and first.shape == task.shape
        and second.shape == other.shape
    ):
        return None
    joined = JoinedTokens(first, second)
    train, test = _concatenated(task.train, other.train), _concatenated(task.test, other.test)
    val = task.val and other.val and _concatenated(task.val, other.val)
    return replace(task, train=train, val=val, test=test, vocabulary=joined.shape.vocabulary, preprocessing=joined)


def _concatenated(part: Split, other: Split) -> Split:
    return replace(part, inputs=torch.cat([part.inputs, other.inputs], 1))


def tokens_from_plain(plain: object) -> Part:
    """What makes tokens of texts, from its kind and values."""
    kinds: dict[str, type[Part]] = {kind.kind: kind for kind in get_args(Part)}
    if not isinstance(plain, Mapping) or plain.get("kind") not in kinds:
        raise ValueError(f"The stored tokens are none of {', '.join(kinds)}.")
    return kinds[plain["kind"]].from_plain(plain)
