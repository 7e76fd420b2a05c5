"""Pairs of train and validation minibatches for a bilevel search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.tasks.task import Split


class Minibatch(NamedTuple):
    """A train minibatch for the weights and a validation minibatch for the architecture."""

    train: Split
    val: Split


class Minibatches:
    """Pairs of minibatches for all steps of a search: a function of the seed."""

    # Each part is shuffled again for each pass over it, and the smaller part is passed over more often. A rest that is
    # smaller than a minibatch is dropped. A part that is smaller than one is a single minibatch.

    def __init__(self, train: Split, val: Split, *, batch_size: int, steps: int, seed: int) -> None:
        self.train, self.val = train, val
        self.batch_size, self.steps, self.seed = batch_size, steps, seed

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
