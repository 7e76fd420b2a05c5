"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawers each (Lake, Salakhutdinov, Tenenbaum 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED, read_npz
from lit_metanas.io.class_folders import files_in
from lit_metanas.kinds.images.image_files import SUFFIXES, read_images
from lit_metanas.tasks.source import Subset, TaskSource

# Background alphabets that are kept for meta-validation: 151 characters.
VALIDATION_ALPHABETS = ("Balinese", "Early_Aramaic", "Gujarati", "Korean", "Tagalog")

_SIDE = 28
_FOLDERS = {"background": "images_background", "evaluation": "images_evaluation"}
_TURNS = ("", "/rot090", "/rot180", "/rot270")

# Alphabet, name and images ``(drawers, 28, 28)`` of each character, by ``background`` and ``evaluation``.
_Drawn: TypeAlias = dict[str, list[tuple[str, str, Tensor]]]


@dataclass(frozen=True)
class _Characters:
    """The characters of a subset, first as they are, and then perhaps turned."""

    classes: tuple[str, ...]
    groups: tuple[str, ...]
    sizes: NDArray[Any]  # images of each character
    starts: NDArray[Any]  # place of the first of them
    images: Tensor  # shape (n, 28, 28), uint8, ink 255

    @classmethod
    def of(cls, drawn: Sequence[tuple[str, str, Tensor]], turns: Sequence[str]) -> Self:
        groups = [(alphabet + turn, name) for turn in turns for alphabet, name, _ in drawn]
        sizes = np.array([len(images) for *_, images in drawn], dtype=np.int64)
        return cls(
            tuple(f"{group}/{name}" for group, name in groups),
            tuple(group for group, _ in groups),
            sizes,
            np.cumsum(sizes) - sizes,
            torch.cat([images for *_, images in drawn] or [torch.zeros(0, _SIDE, _SIDE, dtype=torch.uint8)]),
        )


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

    shape: ClassVar = (1, _SIDE, _SIDE)

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

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return names like ``Greek/character01`` and, in training, ``Greek/rot090/character01``."""
        return self._subsets[subset].classes

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the alphabet of each class; a rotated alphabet is one of its own."""
        return self._subsets[subset].groups

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of drawers; none is held out."""
        sizes = self._subsets[subset].sizes
        return 0 if held_out else int(sizes[class_index % len(sizes)])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, one instance a drawer, uint8, shape ``(n, 1, 28, 28)``."""
        return self.inputs_of_classes(subset, [class_index], [instances], held_out)

    def inputs_of_classes(
        self, subset: Subset, class_indices: Sequence[int], instances: Sequence[Sequence[int]], held_out: bool = False
    ) -> Tensor:
        """Return images of several classes, uint8, shape ``(n, 1, 28, 28)``: picked together, then turned."""
        characters = self._subsets[subset]
        sizes = [len(chosen) for chosen in instances]
        turns, positions = np.divmod(np.asarray(class_indices), len(characters.sizes))
        places = np.repeat(characters.starts[positions], sizes) + np.fromiter(chain.from_iterable(instances), np.int64)
        turned = np.repeat(turns, sizes)
        images = characters.images.index_select(0, torch.from_numpy(places)).unsqueeze(1)
        array = images.numpy()  # of the same memory: NumPy turns images of bytes in half the time
        for turn in range(1, int(turns.max()) + 1):
            rows = np.flatnonzero(turned == turn)
            array[rows] = np.rot90(array[rows], turn, axes=(2, 3))
        return images

    @cached_property
    def _subsets(self) -> dict[Subset, _Characters]:
        """All characters, by alphabet and name; they are read at their first use."""
        drawn = self._read_file() if self.root.is_file() else self._read_folder()
        background, test = (sorted(drawn[split], key=lambda one: one[:2]) for split in _FOLDERS)
        known = {alphabet for alphabet, *_ in background}
        if absent := [alphabet for alphabet in self.validation_alphabets if alphabet not in known]:
            raise ValueError(f"{self.root} has no background alphabet {absent[0]!r} for validation.")
        val = [one for one in background if one[0] in self.validation_alphabets]
        train = [one for one in background if one[0] not in self.validation_alphabets]
        return {
            "train": _Characters.of(train, _TURNS[: 4 if self.rotations else 1]),
            "val": _Characters.of(val, _TURNS[:1]),
            "test": _Characters.of(test, _TURNS[:1]),
        }

    def _read_folder(self) -> _Drawn:
        """Read torchvision's layout: black ink on white, file names sorted by drawer."""
        found: _Drawn = {}
        for split, folder_name in _FOLDERS.items():
            folder = self.root / "omniglot-py" / folder_name
            if not folder.is_dir():
                raise FileNotFoundError(f"There is no folder {folder}: download the {split} images of Omniglot, too.")
            found[split] = []
            for path in sorted(folder.glob("*/*/")):
                files = files_in(path, SUFFIXES)
                if not files:
                    raise ValueError(f"{path} has no images: download Omniglot again.")
                found[split].append((path.parent.name, path.name, 255 - read_images(files, self.shape)[:, 0]))
        return found

    def _read_file(self) -> _Drawn:
        """Read the compact file: two pixels of 16 grey levels a byte, ink 15."""
        fix = "give a compact Omniglot file, or a folder that torchvision has filled"
        arrays = read_npz(self.root, fix)
        try:
            return self._unpack(arrays)
        except DAMAGED:
            raise ValueError(f"'{self.root}' is not a compact Omniglot file: {fix}.") from None

    @staticmethod
    def _unpack(arrays: Mapping[str, NDArray[Any]]) -> _Drawn:
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
        found: _Drawn = {split: [] for split in _FOLDERS}
        for i, (alphabet, number, split) in enumerate(zip(alphabets, numbers, splits, strict=True)):
            mine = torch.from_numpy(order[ends[i] : ends[i + 1]])
            if not len(mine):
                raise ValueError("a character has no images")
            found[str(split)].append((str(alphabet), f"character{int(number):02d}", images[mine]))
        return found
