"""The embedded task source: distorted letters of 15 scripts, drawn offline with the fonts that matplotlib ships."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lit_metanas.kinds.source_bases import BLOCK_SIZE, BlockKey, ComputedSource
from lit_metanas.tasks.source import Subset

# matplotlib is imported where letters are drawn: other images do without.
if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

# Side of a master image in pixels: twice the side of an instance.
CANVAS = 56
_BOX = 40
_LOOK_ALIKE = 0.92

# How strongly instances are distorted: the largest angle in degrees; the smallest size, as a share of the largest; the
# largest changes of the ratio of width to height, of the horizontal shift a unit of height, and of the place.
ROTATION, SMALLEST, STRETCH, SHEAR, SHIFT = 22.0, 0.55, 0.35, 0.4, 0.2

# Standard deviation of the elastic displacement, as a share of half the image's side, and its knots a side.
WARP, WARP_KNOTS = 0.11, 5

# The first word or words of the Unicode names of a script's letters. In this order look-alikes are dropped.
_PREFIXES = {
    "CANADIAN SYLLABICS": "Canadian Aboriginal",
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "TIFINAGH": "Tifinagh",
    "ARMENIAN": "Armenian",
    "LAO": "Lao",
    "NKO": "N'Ko",
    "OGHAM": "Ogham",
    "GEORGIAN": "Georgian",
    "GREEK": "Greek",
    "HEBREW": "Hebrew",
    "OLD ITALIC": "Old Italic",
    "LISU": "Lisu",
    "COPTIC": "Coptic",
}
_SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
_MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique")
_SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
_STIX = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
_COMPUTER_MODERN = ("cmr10", "cmb10", "cmmi10", "cmss10", "cmti10", "cmtt10")  # trusted for ASCII only
FACES = _SANS + _MONO + _SERIF + _STIX + _COMPUTER_MODERN

# The scripts of each subset.
SCRIPTS: dict[Subset, tuple[str, ...]] = {
    "train": ("Canadian Aboriginal", "Latin", "Cyrillic", "Arabic", "Tifinagh"),
    "val": ("Armenian", "Lao", "N'Ko", "Ogham"),
    "test": ("Georgian", "Greek", "Hebrew", "Old Italic", "Lisu", "Coptic"),
}

_VERSION = 2  # raise whenever the same arguments give other images


@dataclass(frozen=True)
class Letter:
    """One class: a letter, and the faces that show it."""

    code_point: int  # its number in Unicode
    script: str
    faces: tuple[str, ...]  # for ordinary instances, at least one
    held_out_faces: tuple[str, ...]  # for test parts, at least one: DejaVu Serif where it has the letter, else bold

    @cached_property
    def name(self) -> str:
        """The letter's Unicode name, in the form ``Script/U+0041 NAME``."""
        return f"{self.script}/U+{self.code_point:04X} {unicodedata.name(chr(self.code_point))}"


@cache
def letters() -> tuple[Letter, ...]:
    """The classes: letters without a decomposition in 15 scripts, without look-alikes."""
    # A letter is dropped if its regular sans-serif image at 28x28 correlates by more than 0.92 with one that was kept.
    candidates = _candidates()
    images = torch.stack([master(letter.code_point, _SANS[0]) for letter in candidates])
    flat = F.avg_pool2d(images[:, None], 2).flatten(1)
    flat = F.normalize(flat - flat.mean(1, keepdim=True))
    similar = (flat @ flat.T > _LOOK_ALIKE).numpy()
    kept = list[int]()
    for i in range(len(candidates)):
        if not similar[i, kept].any():
            kept.append(i)
    return tuple(candidates[i] for i in kept)


def master(code_point: int, face: str) -> Tensor:
    """Draw a letter in a face: ink 1 on 0, centred, its longer side 40 of 56 pixels, shape ``(56, 56)``."""
    from matplotlib.ft2font import LoadFlags

    font, _ = _font(face)
    size = 36.0
    font.set_size(size, 72)
    x0, y0, x1, y1 = font.load_char(code_point, flags=LoadFlags.NO_HINTING).bbox
    font.set_size(size * _BOX * 64 / max(x1 - x0, y1 - y0, 1), 72)
    font.set_text(chr(code_point), 0.0, flags=LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(font.get_image())
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    canvas = np.zeros((CANVAS, CANVAS), np.float32)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:CANVAS, :CANVAS]
    top, left = (CANVAS - ink.shape[0]) // 2, (CANVAS - ink.shape[1]) // 2
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink / 255.0
    return torch.from_numpy(canvas)


def font_file(face: str) -> Path:
    """Return the path of a face's font file."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


@cache
def _font(face: str) -> tuple[FT2Font, frozenset[int]]:
    """Open a face; return it with the code points that it covers."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(font_file(face)))
    last = 127 if face in _COMPUTER_MODERN else 0x10FFFF
    return font, frozenset(each for each in font.get_charmap() if each <= last)


def _candidates() -> list[Letter]:
    """Return all letters of the 15 scripts, look-alikes included, script by script."""
    found: dict[str, list[Letter]] = {prefix: [] for prefix in _PREFIXES}
    for code_point in sorted(_font(_SANS[0])[1] & _font(_SANS[1])[1]):
        character = chr(code_point)
        if not unicodedata.category(character).startswith("L") or unicodedata.decomposition(character):
            continue
        name = unicodedata.name(character, "")
        prefix = next((p for p in _PREFIXES if name.startswith(p + " ")), None)
        if prefix is None:
            continue
        faces = [face for face in FACES if code_point in _font(face)[1]]
        held_out = [face for face in faces if face in _SERIF] or [face for face in faces if "Bold" in face]
        ordinary = tuple(face for face in faces if face not in held_out)
        found[prefix].append(Letter(code_point, _PREFIXES[prefix], ordinary, tuple(held_out)))
    return [letter for prefix in _PREFIXES for letter in found[prefix]]


def distorted(masters: Tensor, generator: np.random.Generator) -> Tensor:
    """Distort images ``(n, 2 * side, 2 * side)`` in [0, 1] and halve their side: uint8, shape ``(n, side, side)``."""
    # No rotation by large angles: Canadian syllabics are rotations of one another.
    n, side, _ = masters.shape
    inked = _stroked(masters, torch.from_numpy(generator.uniform(-1, 1, n)).float())
    theta = _affine(torch.from_numpy(generator.uniform(-1, 1, (n, 6))).float())
    grid = F.affine_grid(theta, [n, 1, side, side], align_corners=False)
    knots = torch.from_numpy(generator.standard_normal((n, 2, WARP_KNOTS, WARP_KNOTS))).float()
    waves = F.interpolate(knots, size=(side, side), mode="bicubic", align_corners=True)
    grid = grid + WARP * waves.permute(0, 2, 3, 1)
    warped = F.grid_sample(inked[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(warped, 2)[:, 0].clamp(0, 1).mul(255).round().to(torch.uint8)


def _stroked(masters: Tensor, amount: Tensor) -> Tensor:
    """Blend each image with its dilation (amount > 0) or erosion (amount < 0) by a 3x3 window."""
    amount = amount[:, None, None]
    dilated = F.max_pool2d(masters[:, None], 3, stride=1, padding=1)[:, 0]
    eroded = -F.max_pool2d(-masters[:, None], 3, stride=1, padding=1)[:, 0]
    return (masters + amount.clamp(min=0) * (dilated - masters) + amount.clamp(max=0) * (masters - eroded)).clamp(0, 1)


def _affine(u: Tensor) -> Tensor:
    """Turn uniform numbers in [-1, 1], shape ``(n, 6)``, into maps from output to input, ``(n, 2, 3)``."""
    angle = u[:, 0] * ROTATION * np.pi / 180
    scale = 1.15 * (1 - (1 - SMALLEST) * (u[:, 1] + 1) / 2)
    stretch = torch.exp(u[:, 2] * np.log1p(STRETCH) / 2)
    cos, sin, shear = angle.cos(), angle.sin(), u[:, 3] * SHEAR
    # inverse map = (rotation @ shear @ scaling)^-1 is again of this form: draw it directly
    a, b = cos + shear * sin, shear * cos - sin
    return torch.stack(
        [
            torch.stack([a / (scale * stretch), b / (scale * stretch), u[:, 4] * SHIFT], dim=1),
            torch.stack([sin * stretch / scale, cos * stretch / scale, u[:, 5] * SHIFT], dim=1),
        ],
        dim=1,
    )


@cache
def _numbered(subset: Subset) -> tuple[tuple[int, Letter], ...]:
    """The letters of a subset's scripts, each with its place among all letters."""
    return tuple((place, letter) for place, letter in enumerate(letters()) if letter.script in SCRIPTS[subset])


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

    shape: ClassVar = (1, CANVAS // 2, CANVAS // 2)
    dtype = torch.uint8

    @property
    def cache_file(self) -> Path:
        """The file of the cached images; its name tells all that they depend on."""
        digest = hashlib.sha256(repr((version("matplotlib"), self.seed, self.pool)).encode())
        for face in FACES:
            digest.update(font_file(face).read_bytes())
        return self.cache / f"glyphs-v{_VERSION}-{digest.hexdigest()[:16]}.npz"

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the letters of the subset's scripts."""
        return tuple(letter.name for _, letter in _numbered(subset))

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each class."""
        return tuple(letter.script for _, letter in _numbered(subset))

    def _place(self, subset: Subset, class_index: int) -> int:
        return _numbered(subset)[class_index][0]

    def _computed(self, block: BlockKey) -> Tensor:
        place, held_out, number = block
        letter = letters()[place]
        generator = np.random.default_rng((self.seed, letter.code_point, int(held_out), number))
        faces = letter.held_out_faces if held_out else letter.faces
        masters = torch.stack([master(letter.code_point, face) for face in faces])
        return distorted(masters[generator.integers(len(faces), size=BLOCK_SIZE)], generator)[:, None]
