"""A task source from a folder with one sub-folder of images for each class."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from lit_metanas.episodes.image_files import class_folders, read_images, require_shape
from lit_metanas.episodes.source import SUBSETS, Subset, TaskSource


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
