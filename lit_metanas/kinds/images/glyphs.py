"""The embedded task source: distorted letters of 15 scripts, drawn offline with the fonts that matplotlib ships."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.packages import installed_version
from lit_metanas.kinds.images.glyph_faces import CANVAS, FACES, Letter, distorted, font_file, letters, master
from lit_metanas.kinds.source_bases import BLOCK_SIZE, BlockKey, ComputedSource
from lit_metanas.tasks.source import Subset

SCRIPTS: dict[Subset, tuple[str, ...]] = {
    "train": ("Canadian Aboriginal", "Latin", "Cyrillic", "Arabic", "Tifinagh"),
    "val": ("Armenian", "Lao", "N'Ko", "Ogham"),
    "test": ("Georgian", "Greek", "Hebrew", "Old Italic", "Lisu", "Coptic"),
}
"""The scripts of each subset."""

_VERSION = 2  # raise whenever the same arguments give other images


class Glyphs(ComputedSource):
    """Letters of 15 scripts, about 1,400 classes, 28x28, ink 1 on 0; a script belongs to one subset only.

    An instance is a face x a random affine map x an elastic warp x dilation or erosion: a function of the letter's code
    point, the instance's number and the seed. Test parts of target tasks show faces that no other image of the letter
    shows. The instances that episodes use are rendered once and cached in a file; more of them, which only target
    tasks need, are rendered when asked for and kept in memory.

    Args:
        seed: seed of the distortions, at least 0.
        cache: folder of the cached images; by default ``$LIT_METANAS_CACHE``, else ``lit_metanas`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.
        pool: images a class from which episodes are drawn, 1 to 200. A class has 200 ordinary images, and 100 of
            held-out faces for the test part of target tasks.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> glyphs = lm.Glyphs()
        >>> glyphs.shape, glyphs.groups("test")[0], glyphs.instances("test", 0, held_out=True)
        ((1, 28, 28), 'Georgian', 100)
    """

    dtype = torch.uint8

    def __init__(self, seed: int = 0, cache: str | None = None, pool: int = 20) -> None:
        super().__init__(seed, cache, pool)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(1, 28, 28)``."""
        return 1, CANVAS // 2, CANVAS // 2

    @property
    def cache_file(self) -> Path:
        """The file of the cached images; its name tells all that they depend on."""
        digest = hashlib.sha256(repr((installed_version("matplotlib"), self.seed, self.pool)).encode())
        for face in FACES:
            digest.update(font_file(face).read_bytes())
        return self.cache / f"glyphs-v{_VERSION}-{digest.hexdigest()[:16]}.npz"

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the letters of the subset's scripts."""
        return _names(subset)

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each class."""
        return tuple(letter.script for letter in _letters_of(subset))

    def _number(self) -> int:
        return len(letters())

    def _place(self, subset: Subset, class_index: int) -> int:
        return _places()[_letters_of(subset)[class_index].code_point]

    def _computed(self, blocks: Sequence[BlockKey]) -> Tensor:
        rendered = []
        for place, held_out, block in blocks:
            letter = letters()[place]
            generator = np.random.default_rng((self.seed, letter.code_point, int(held_out), block))
            faces = letter.held_out_faces if held_out else letter.faces
            masters = torch.stack([master(letter.code_point, face) for face in faces])
            rendered.append(distorted(masters[generator.integers(len(faces), size=BLOCK_SIZE)], generator))
        return torch.cat(rendered)[:, None]


@cache
def _places() -> dict[int, int]:
    return {letter.code_point: place for place, letter in enumerate(letters())}


@cache
def _letters_of(subset: Subset) -> tuple[Letter, ...]:
    return tuple(letter for letter in letters() if letter.script in SCRIPTS[subset])


@cache
def _names(subset: Subset) -> tuple[str, ...]:
    return tuple(letter.name for letter in _letters_of(subset))
