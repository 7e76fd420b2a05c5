"""Folders of images as a target task or a task source."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import number_of
from lit_metanas.tasks.images.image_files import class_folders, read_images, require_shape
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource
from lit_metanas.tasks.task import Split, Task, TaskCollection


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


class ImageFolder(TaskSource):
    """Images of any size, grey or colour, resized; the classes are split as given, or at random by a seed.

    Args:
        root: the folder; each sub-folder is a class.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a class folder has no image, a named class does not exist or is named twice, or the fractions are
            negative or do not sum to 1, or the seed is negative.
    """

    def __init__(
        self,
        root: str,
        shape: tuple[int, int, int] = (3, 32, 32),
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        require_shape("ImageFolder", shape)
        if seed < 0:
            raise ValueError(f"ImageFolder: seed = {seed} must be at least 0.")
        self.root = Path(root)
        self._shape = (shape[0], shape[1], shape[2])
        self._files = class_folders(self.root)
        if train is None and val is None and test is None:
            self._classes = self._drawn(fractions, seed)
        else:
            self._classes = self._given({"train": train or [], "val": val or [], "test": test or []})
        self._images: dict[str, Tensor] = {}

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape asked for."""
        return self._shape

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of the subset's folders."""
        return self._classes[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of images in a class folder; none is held out."""
        return 0 if held_out else len(self._files[self._classes[subset][class_index]])

    def images(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class; the whole class is read at its first use and kept in memory."""
        name = self._classes[subset][class_index]
        if name not in self._images:
            self._images[name] = read_images(self._files[name], self.shape)
        return self._images[name][list(instances)]

    def _drawn(self, fractions: tuple[float, float, float], seed: int) -> dict[Subset, tuple[str, ...]]:
        """Split the classes at random."""
        if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"ImageFolder: fractions = {tuple(fractions)} must be at least 0 and sum to 1.")
        names = list(self._files)
        order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
        first, second = round(fractions[0] * len(names)), round((fractions[0] + fractions[1]) * len(names))
        parts = (order[:first], order[first:second], order[second:])
        return {subset: tuple(sorted(part)) for subset, part in zip(SUBSETS, parts, strict=True)}

    def _given(self, lists: dict[Subset, list[str]]) -> dict[Subset, tuple[str, ...]]:
        """Check the given lists."""
        seen: dict[str, Subset] = {}
        for subset, names in lists.items():
            for name in names:
                if name not in self._files:
                    near = difflib.get_close_matches(name, self._files, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(list(self._files)[:5])}, …"
                    raise ValueError(f"{self.root} has no class folder {name!r} (named in {subset}): {hint}")
                if name in seen:
                    raise ValueError(
                        f"Class {name!r} of {self.root} is named in {seen[name]} and in {subset}: name it once."
                    )
                seen[name] = subset
        return {subset: tuple(names) for subset, names in lists.items()}
