"""The batches that a child is trained on, and smaller ones where memory has run out."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset

from lit_metanas.io.allocator import is_out_of_memory
from lit_metanas.tasks.task import Split
from lit_metanas.training.recipes.recipe import Recipe

SMALLEST_BATCH = 2
"""Examples of a batch, of which batch-norm needs two."""


class _Portion(Dataset[tuple[Tensor, ...]]):
    """The examples of a data set at some places."""

    def __init__(self, data: TensorDataset, places: Tensor) -> None:
        self.data = data
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return self.data[self.places[index]]


def batches(
    split: Split, batch_size: int, seed: int | None = None, places: Tensor | None = None
) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of inputs, labels, and weights if there are any, of all examples or of those at some places.

    With a seed they are shuffled in each epoch, and have no last batch of one example.
    """
    tensors = TensorDataset(*(one for one in (split.inputs, split.labels, split.weights) if one is not None))
    data: Any = tensors if places is None else _Portion(tensors, places)
    if seed is None:
        return DataLoader(data, batch_size=None, sampler=BatchSampler(SequentialSampler(data), batch_size, False))
    shuffled = RandomSampler(data, generator=torch.Generator().manual_seed(seed))
    drop_last = images_an_epoch(len(data), batch_size) < len(data)
    return DataLoader(data, batch_size=None, sampler=BatchSampler(shuffled, min(batch_size, len(data)), drop_last))


def images_an_epoch(images: int, batch_size: int) -> int:
    """The images that an epoch of training sees: batch-norm needs two, so a last batch of a single one is left out."""
    return images - int(images > 1 and images % min(batch_size, images) == 1)


def with_halved_batch(recipe: Recipe, error: Exception, examples: int) -> Recipe:
    """A recipe of smaller batches of so many examples, and a warning, after memory has run out.

    Raises:
        Exception: the error, if it is another one, or batches cannot be smaller.
    """
    size = min(recipe.batch_size, examples)
    if not is_out_of_memory(error) or size <= SMALLEST_BATCH:
        raise error
    half = max(SMALLEST_BATCH, size // 2)
    warnings.warn(
        f"Memory has run out in a training with batches of {size} examples: it goes on with {half}.", stacklevel=3
    )
    return replace(recipe, batch_size=half)
