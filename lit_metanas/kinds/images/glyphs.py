"""The embedded task source: distorted letters of 15 scripts, drawn offline with the fonts that matplotlib ships."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.tokens import check_range
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.files import cache_folder, replacing
from lit_metanas.io.packages import installed_version
from lit_metanas.kinds.images.glyph_faces import CANVAS, FACES, Letter, distorted, font_file, letters, master
from lit_metanas.tasks.source import Subset, TaskSource

SCRIPTS: dict[Subset, tuple[str, ...]] = {
    "train": ("Canadian Aboriginal", "Latin", "Cyrillic", "Arabic", "Tifinagh"),
    "val": ("Armenian", "Lao", "N'Ko", "Ogham"),
    "test": ("Georgian", "Greek", "Hebrew", "Old Italic", "Lisu", "Coptic"),
}
"""The scripts of each subset."""

_ORDINARY, _HELD_OUT = 200, 100
"""Images of a class, and those of faces that show it in test parts alone."""

_VERSION = 1  # raise whenever the same arguments give other images
_BLOCK = 20  # instances that are rendered together


class Glyphs(TaskSource):
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

    def __init__(
        self,
        seed: int = 0,
        cache: str | None = None,
        pool: int = 20,
    ) -> None:
        check_range("Glyphs", seed=(seed, 0), pool=(pool, 1, _ORDINARY))
        self.seed = seed
        self.cache = Path(cache) if cache else cache_folder()
        self.pool = pool
        self._pools: Tensor | None = None
        self._blocks: dict[tuple[int, bool, int], Tensor] = {}

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

    def prepare(self) -> None:
        """Render the instances that episodes use, unless the cache file has them."""
        file = self.cache_file
        if _read(file, self._pool_shape) is not None:
            return
        images = torch.stack([self._render_pool(letter) for letter in letters()])
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, images=images.numpy())

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the letters of the subset's scripts."""
        return _names(subset)

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each class."""
        return tuple(letter.script for letter in _letters_of(subset))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of ordinary or held-out images of a class: the same for all."""
        return _HELD_OUT if held_out else _ORDINARY

    def episode_instances(self, subset: Subset, class_index: int) -> int:
        """Return the number of cached images of a class: the same for all."""
        return self.pool

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, from the cache or rendered, uint8, shape ``(n, 1, 28, 28)``."""
        letter = _letters_of(subset)[class_index]
        if not held_out and max(instances, default=0) < self.pool:
            return self._cached_pools()[_place(letter)][list(instances), None]
        for block in {i // _BLOCK for i in instances}:
            if (letter.code_point, held_out, block) not in self._blocks:
                self._blocks[letter.code_point, held_out, block] = self._render(letter, held_out, block)
        picked = [self._blocks[letter.code_point, held_out, i // _BLOCK][i % _BLOCK] for i in instances]
        return torch.stack(picked)[:, None]

    def inputs_of_classes(
        self, subset: Subset, class_indices: Sequence[int], instances: Sequence[Sequence[int]], held_out: bool = False
    ) -> Tensor:
        """Return images of several classes, uint8, shape ``(n, 1, 28, 28)``: cached ones are picked together."""
        chosen = np.fromiter(chain.from_iterable(instances), np.int64)
        if held_out or chosen.max(initial=0) >= self.pool:
            return super().inputs_of_classes(subset, class_indices, instances, held_out)
        places = [_place(_letters_of(subset)[index]) for index in class_indices]
        rows = np.repeat(places, [len(own) for own in instances]) * self.pool + chosen
        return self._cached_pools().flatten(0, 1).index_select(0, torch.from_numpy(rows)).unsqueeze(1)

    @property
    def _pool_shape(self) -> tuple[int, ...]:
        return len(letters()), self.pool, *self.shape[1:]

    def _cached_pools(self) -> Tensor:
        """Load the cache file once, ``(letters, pool, 28, 28)``; render it first where it is missing or damaged."""
        if self._pools is None:
            self._pools = _read(self.cache_file, self._pool_shape)
        if self._pools is None:
            self.prepare()
            self._pools = _read(self.cache_file, self._pool_shape)
        assert self._pools is not None
        return self._pools

    def _render_pool(self, letter: Letter) -> Tensor:
        """Return the first ``pool`` instances of a letter."""
        blocks = [self._render(letter, False, b) for b in range(-(-self.pool // _BLOCK))]
        return torch.cat(blocks)[: self.pool]

    def _render(self, letter: Letter, held_out: bool, block: int) -> Tensor:
        """Render a whole block: so no image depends on which others are asked for with it."""
        generator = np.random.default_rng((self.seed, letter.code_point, int(held_out), block))
        faces = letter.held_out_faces if held_out else letter.faces
        masters = torch.stack([master(letter.code_point, face) for face in faces])
        return distorted(masters[generator.integers(len(faces), size=_BLOCK)], generator)


@cache
def _places() -> dict[int, int]:
    return {letter.code_point: place for place, letter in enumerate(letters())}


def _place(letter: Letter) -> int:
    """The place of a letter among all."""
    return _places()[letter.code_point]


@cache
def _letters_of(subset: Subset) -> tuple[Letter, ...]:
    return tuple(letter for letter in letters() if letter.script in SCRIPTS[subset])


@cache
def _names(subset: Subset) -> tuple[str, ...]:
    return tuple(letter.name for letter in _letters_of(subset))


def _read(file: Path, shape: tuple[int, ...]) -> Tensor | None:
    """Read cached images; None if the file is absent, damaged or of another form."""
    try:
        images = read_npz(file, "it is rendered again", largest=math.prod(shape) + (1 << 20))["images"]
    except (ValueError, KeyError):
        return None
    if images.shape != shape or images.dtype != np.uint8:
        return None
    return torch.from_numpy(images)
