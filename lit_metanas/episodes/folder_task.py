"""One folder of a few classes as one target task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.episodes.image_files import class_folders, read_images, require_shape
from lit_metanas.episodes.task import Split, Task
from lit_metanas.episodes.task_collection import TaskCollection
from lit_metanas.plural import number_of


class FolderTask(TaskCollection):
    """One's own images, a sub-folder per class, as a collection of a single task. Each class is split by the fractions.

    Args:
        root: the folder; each sub-folder is a class.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour. It must be
            the shape that a meta-trained checkpoint was trained on.
        train: share of each class's images to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: seed of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder has fewer than two classes, one has no image or too few, an image is unreadable, or the
            fractions or the seed are out of range.
    """

    def __init__(
        self,
        root: str,
        shape: tuple[int, int, int] = (3, 32, 32),
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
    ) -> None:
        require_shape("FolderTask", shape)
        if min(train, test) <= 0 or val < 0 or train + val + test > 1 + 1e-6:
            raise ValueError(
                f"FolderTask: train = {train}, val = {val}, test = {test} must be shares above 0 (val: at least 0) "
                f"with a sum of at most 1."
            )
        if seed < 0:
            raise ValueError(f"FolderTask: seed = {seed} must be at least 0.")
        self.root = Path(root)
        self._shape = (shape[0], shape[1], shape[2])
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        self._files = class_folders(self.root)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape asked for."""
        return self._shape

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class folders, in the order of their labels."""
        return tuple(self._files)

    def __len__(self) -> int:
        """Return 1."""
        return 1

    def __getitem__(self, index: int) -> Task:
        """Read the images and split them."""
        if index != 0:
            raise IndexError(f"task {index} of 1")
        parts: tuple[list[Tensor], ...] = ([], [], [])
        for label, (name, files) in enumerate(self._files.items()):
            images = read_images(files, self.shape)
            order = torch.from_numpy(np.random.default_rng((self.seed, label)).permutation(len(files)))
            start = 0
            for part, count in zip(parts, self._counts(name, len(files)), strict=True):
                part.append(images[order[start : start + count]])
                start += count
        return Task(
            id=self.root.resolve().name,
            way=len(self._files),
            train=_split(parts[0]),
            val=_split(parts[1]) if self.val else None,
            test=_split(parts[2]),
            classes=self.classes,
        )

    def _counts(self, name: str, images: int) -> tuple[int, int, int]:
        """Return how many of a class's images go to train, val and test: at least one where the share is not 0."""
        val = max(1, round(self.val * images)) if self.val else 0
        test = max(1, round(self.test * images))
        train = min(max(1, round(self.train * images)), images - val - test)
        if train < 1:
            has = number_of(images, "image")
            raise ValueError(f"{self.root / name} has {has}, too few for a train, val and test part: add some.")
        return train, val, test


def _split(parts: list[Tensor]) -> Split:
    """Join the images of all classes as floats in [0, 1]."""
    labels = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part) for part in parts]))
    return Split(inputs=torch.cat(parts).float().div_(255), labels=labels)
