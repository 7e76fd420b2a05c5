"""Pairs of train and validation minibatches for a bilevel search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.tasks.task import Split


class Minibatch(NamedTuple):
    """A train minibatch for the weights and a validation minibatch for the logits."""

    train: Split
    val: Split


class Minibatches:
    """The minibatches of all steps of a search: a function of the seed.

    Each part is shuffled again for each pass over it; the smaller part is passed over more often. What is left at
    the end of a pass is dropped.

    Args:
        train: examples for the weights.
        val: examples for the logits.
        batch_size: examples a minibatch; a smaller part is one minibatch.
        steps: number of pairs.
        seed: of both orders.
    """

    def __init__(self, train: Split, val: Split, *, batch_size: int, steps: int, seed: int) -> None:
        self.train = train
        self.val = val
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Minibatch]:
        train = _endless(self.train, self.batch_size, torch.Generator().manual_seed(2 * self.seed))
        val = _endless(self.val, self.batch_size, torch.Generator().manual_seed(2 * self.seed + 1))
        for _ in range(self.steps):
            yield Minibatch(next(train), next(val))


def _endless(split: Split, batch_size: int, generator: torch.Generator) -> Iterator[Split]:
    size = min(batch_size, len(split))
    while True:
        order: Tensor = torch.randperm(len(split), generator=generator).to(split.labels.device)
        for places in order.split(size):
            if len(places) == size:
                yield Split(split.inputs[places], split.labels[places])
