"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawers each (Lake, Salakhutdinov, Tenenbaum 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED, read_npz
from lit_metanas.io.class_folders import files_in
from lit_metanas.kinds.images.image_files import SUFFIXES, read_images
from lit_metanas.tasks.source import Subset, TaskSource

VALIDATION_ALPHABETS = ("Balinese", "Early_Aramaic", "Gujarati", "Korean", "Tagalog")
"""Background alphabets that are kept for meta-validation: 151 characters."""

_SIDE = 28
_FOLDERS = {"background": "images_background", "evaluation": "images_evaluation"}


@dataclass
class _Character:
    """One character: its alphabet, its name in it, and its images ``(drawers, 28, 28)``, uint8, ink 255."""

    alphabet: str
    name: str
    images: Tensor
    start: int = 0  # place of the first one among the images of all characters
    drawers: int = 0


_Characters = dict[str, list[_Character]]
"""Of the splits ``background`` and ``evaluation``."""


class Omniglot(TaskSource):
    """Handwritten characters, 28x28, ink 1 on 0; background alphabets train and validate, evaluation alphabets test.

    Args:
        root: a folder in torchvision's layout (``root/omniglot-py/images_background/<alphabet>/<character>/*.png``,
            and ``images_evaluation``), or one compact ``.npz`` file with the arrays ``images_u4``, ``char_index``,
            ``char_alphabet``, ``char_number``, ``char_split``, ``alphabet_names`` and ``split_names``.
        rotations: let characters turned by 90, 180 and 270 degrees be further classes, in meta-training only
            (Santoro et al. 2016).
        validation_alphabets: background alphabets of the meta-validation subset.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file has another content, or a validation alphabet does not exist.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as root:
        ...     for split, alphabet in (("background", "Greek"), ("background", "Latin"), ("evaluation", "Manipuri")):
        ...         folder = Path(root) / "omniglot-py" / f"images_{split}" / alphabet / "character01"
        ...         folder.mkdir(parents=True)
        ...         Image.new("1", (105, 105)).save(folder / "0001_01.png")
        ...     lm.kinds.Omniglot(root, rotations=False, validation_alphabets=("Greek",)).classes("test")
        ('Manipuri/character01',)
    """

    def __init__(
        self,
        root: str,
        rotations: bool = True,
        validation_alphabets: tuple[str, ...] = VALIDATION_ALPHABETS,
    ) -> None:
        self.root = Path(root)
        self.rotations = rotations
        self.validation_alphabets = tuple(validation_alphabets)
        if not self.root.is_file() and not (self.root / "omniglot-py").is_dir():
            raise FileNotFoundError(
                f"There is no Omniglot at {self.root}: give an .npz file, or a folder that "
                f"torchvision.datasets.Omniglot(root, download=True) has filled."
            )
        self._subsets: dict[Subset, list[_Character]] | None = None
        self._names: dict[Subset, tuple[str, ...]] = {}
        self._images = torch.empty(0, _SIDE, _SIDE, dtype=torch.uint8)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(1, 28, 28)``."""
        return 1, _SIDE, _SIDE

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return names like ``Greek/character01`` and, in training, ``Greek/rot090/character01``."""
        if subset not in self._names:
            characters = self._characters(subset)
            self._names[subset] = tuple(
                f"{group}/{characters[i % len(characters)].name}" for i, group in enumerate(self.groups(subset))
            )
        return self._names[subset]

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the alphabet of each class; a rotated alphabet is one of its own."""
        turns = ["", "/rot090", "/rot180", "/rot270"]
        if not self.rotations or subset != "train":
            turns = turns[:1]
        return tuple(character.alphabet + turn for turn in turns for character in self._characters(subset))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of drawers; none is held out."""
        characters = self._characters(subset)
        if held_out:
            return 0
        return characters[class_index % len(characters)].drawers

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, one instance a drawer, uint8, shape ``(n, 1, 28, 28)``."""
        characters = self._characters(subset)
        turns, position = divmod(class_index, len(characters))
        return torch.rot90(characters[position].images[list(instances), None], turns, dims=(2, 3))

    def inputs_of_classes(
        self, subset: Subset, class_indices: Sequence[int], instances: Sequence[Sequence[int]], held_out: bool = False
    ) -> Tensor:
        """Return images of several classes, uint8, shape ``(n, 1, 28, 28)``: picked together, then turned."""
        characters = self._characters(subset)
        sizes = [len(chosen) for chosen in instances]
        turns, positions = np.divmod(np.asarray(class_indices), len(characters))
        starts = np.array([characters[position].start for position in positions.tolist()])
        places = np.repeat(starts, sizes) + np.fromiter(chain.from_iterable(instances), np.int64)
        turned = np.repeat(turns, sizes)
        images = self._images.index_select(0, torch.from_numpy(places)).unsqueeze(1)
        array = images.numpy()  # of the same memory: NumPy turns images of bytes in half the time
        for turn in range(1, int(turns.max()) + 1):
            rows = np.flatnonzero(turned == turn)
            array[rows] = np.rot90(array[rows], turn, axes=(2, 3))
        return images

    def _characters(self, subset: Subset) -> list[_Character]:
        """Return a subset's characters, by alphabet and name; read them all at the first use."""
        if self._subsets is None:
            found = self._read_file() if self.root.is_file() else self._read_folder()
            background, test = (sorted(found[split], key=lambda c: (c.alphabet, c.name)) for split in _FOLDERS)
            known = {character.alphabet for character in background}
            for alphabet in self.validation_alphabets:
                if alphabet not in known:
                    raise ValueError(f"{self.root} has no background alphabet {alphabet!r} for validation.")
            val = [c for c in background if c.alphabet in self.validation_alphabets]
            train = [c for c in background if c.alphabet not in self.validation_alphabets]
            self._subsets = {"train": train, "val": val, "test": test}
            self._stack()
        return self._subsets[subset]

    def _stack(self) -> None:
        """Bring all images into one tensor, of which those of a character are a part."""
        assert self._subsets is not None
        everything = [character for part in self._subsets.values() for character in part]
        self._images = torch.cat([character.images for character in everything] or [self._images])
        start = 0
        for character in everything:
            character.start, character.drawers = start, len(character.images)
            start += character.drawers
            character.images = self._images[character.start : start]

    def _read_folder(self) -> _Characters:
        """Read torchvision's layout: black ink on white, file names sorted by drawer."""
        found: _Characters = {}
        for split, folder_name in _FOLDERS.items():
            folder = self.root / "omniglot-py" / folder_name
            if not folder.is_dir():
                raise FileNotFoundError(f"There is no folder {folder}: download the {split} images of Omniglot, too.")
            found[split] = []
            for path in sorted(folder.glob("*/*/")):
                files = files_in(path, SUFFIXES)
                if not files:
                    raise ValueError(f"{path} has no images: download Omniglot again.")
                images = 255 - read_images(files, self.shape)[:, 0]
                found[split].append(_Character(path.parent.name, path.name, images))
        return found

    def _read_file(self) -> _Characters:
        """Read the compact file: two pixels of 16 grey levels a byte, ink 15."""
        fix = "give a compact Omniglot file, or a folder that torchvision has filled"
        arrays = read_npz(self.root, fix)
        try:
            return self._unpack(arrays)
        except DAMAGED:
            raise ValueError(f"'{self.root}' is not a compact Omniglot file: {fix}.") from None

    @staticmethod
    def _unpack(arrays: Mapping[str, np.ndarray[Any, Any]]) -> _Characters:
        """The characters in the file's arrays; one of ``DAMAGED`` where they are others, or do not fit together."""
        packed, owner = arrays["images_u4"], arrays["char_index"]
        alphabets, numbers = arrays["alphabet_names"][arrays["char_alphabet"]], arrays["char_number"]
        splits = arrays["split_names"][arrays["char_split"]]
        pixels = np.empty((len(packed), _SIDE * _SIDE), np.uint8)
        pixels[:, 0::2] = (packed >> 4) * 17
        pixels[:, 1::2] = (packed & 15) * 17
        images = torch.from_numpy(pixels).view(-1, _SIDE, _SIDE)
        order = np.argsort(owner, kind="stable")
        ends = np.searchsorted(owner[order], np.arange(len(splits) + 1))
        found: _Characters = {split: [] for split in _FOLDERS}
        for i, (alphabet, number, split) in enumerate(zip(alphabets, numbers, splits, strict=True)):
            mine = torch.from_numpy(order[ends[i] : ends[i + 1]])
            if not len(mine):
                raise ValueError("a character has no images")
            found[str(split)].append(_Character(str(alphabet), f"character{int(number):02d}", images[mine]))
        return found
