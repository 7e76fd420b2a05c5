"""Texts by two preprocessings, the tokens of one behind those of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor

from lit_metanas.inputs import Preprocessing, TokenShape
from lit_metanas.kinds.texts.byte_pairs import BytePairs, PretrainedTokens
from lit_metanas.kinds.texts.vocabularies import Characters, NGrams, Words
from lit_metanas.tasks.task import Split, Task

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
    if not (isinstance(first, Part) and isinstance(second, Part) and first.shape == task.shape):
        return None
    if other.shape != second.shape:
        return None
    joined, val = JoinedTokens(first, second), None
    train, test = _concatenated(task.train, other.train), _concatenated(task.test, other.test)
    if task.val is not None and other.val is not None:
        val = _concatenated(task.val, other.val)
    return replace(task, train=train, val=val, test=test, vocabulary=joined.shape.vocabulary, preprocessing=joined)


def _concatenated(part: Split, other: Split) -> Split:
    return replace(part, inputs=torch.cat([part.inputs, other.inputs], 1))


def tokens_from_plain(plain: object) -> Part:
    """What makes tokens of texts, from its kind and values."""
    kinds: dict[str, type[Part]] = {kind.kind: kind for kind in get_args(Part)}
    if not isinstance(plain, Mapping) or plain.get("kind") not in kinds:
        raise ValueError(f"The stored tokens are none of {', '.join(kinds)}.")
    return kinds[plain["kind"]].from_plain(plain)
