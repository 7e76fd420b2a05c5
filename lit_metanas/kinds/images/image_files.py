"""Image files, images as tensors, and random changes of these."""

from __future__ import annotations

import math
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from lit_metanas.inputs.shapes import describe_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import read_regular
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.io.text import writable
from lit_metanas.kinds.images.image_arrays import GREY, over_white
from lit_metanas.tasks.episode_loader import EpisodeAugmentation
from lit_metanas.tasks.task import Episode, Split

# Bytes of an image file, and pixels of an image.
LARGEST_IMAGE, MOST_IMAGE_PIXELS = 1 << 28, 1 << 26

# The formats of the suffixes. Pillow finds formats by their first bytes, and for some of them starts other programs.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

# How the names of image files end, in small letters.
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class _WidePixels(Exception):  # noqa: N818 (the file is not damaged)
    """An image has pixels of 32 bits."""


def read_image(file: Path, shape: tuple[int, int, int]) -> Tensor:
    """Read one image as uint8 of a shape: one channel gives grey, three colour; transparent pixels lie over white."""
    channels, height, width = shape
    mode, name = "L" if channels == 1 else "RGB", writable(str(file))
    try:
        with Image.open(BytesIO(read_regular(file, LARGEST_IMAGE)), formats=_FORMATS) as image:
            if image.width * image.height > MOST_IMAGE_PIXELS:
                raise ValueError("it has too many pixels")
            ImageOps.exif_transpose(image, in_place=True)  # a copy of the most pixels would take 256 MB
            upright = over_white(_in_eight_bits(image), mode)
            if upright.size != (width, height):
                upright = upright.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.array(upright, dtype=np.uint8)
    except _WidePixels:
        raise ValueError(f"{name} has pixels of 32 bits: save it with 8 or 16.") from None
    except FileNotFoundError:
        raise ValueError(f"There is no image {name}: correct its path.") from None
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} is not a readable image: replace or remove it.") from error
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def shorter_side(file: Path) -> int:
    """Pixels of the shorter side of an image; 0 where it is not readable."""
    try:
        with Image.open(BytesIO(read_regular(file, LARGEST_IMAGE)), formats=_FORMATS) as image:
            return min(image.size)
    except (*DAMAGED, Image.DecompressionBombError):
        return 0


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits, which Pillow would cut off at 255; other images stay as they are."""
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))):
        if image.mode in ("I", "F"):
            raise _WidePixels  # nobody knows how large they can be
        return image
    values = np.array(image, dtype=np.int32)
    values += 128
    values //= 257  # rounded to the nearest
    return Image.fromarray(values.astype(np.uint8))


def read_images(files: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """Read several images, uint8, shape ``(n, channels, height, width)``."""
    return torch.stack([read_image(file, shape) for file in files])


def require_shape(owner: str, shape: tuple[int, int, int]) -> None:
    """Raise ``ValueError`` unless a shape is one or three channels and a positive height and width."""
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1:
        raise ValueError(f"{owner}: shape = {tuple(shape)} must be (channels, height, width) with 1 or 3 channels.")


@keeps_arguments()
class ImageAugmentation(EpisodeAugmentation):
    """Mirrors, cuts, turns, moves, recolours and covers images; a pure function of images and a generator.

    The transforms of torchvision draw once for a whole batch, from the global generator. Here each image has draws of
    its own, and all are computed together: what changes places is one sampling of the pixels. What comes from outside
    of an image repeats its border.

    Args:
        flip: probability that left and right change places.
        zoom: least share of the area of an image that is cut out, at a random place, and brought to the size of the
            whole; 1 cuts nothing.
        colour: brightness, contrast and, of images in colour, saturation are each multiplied by a factor between
            ``1 - colour`` and ``1 + colour``.
        turn: most degrees by which an image is turned, to either side.
        shear: most degrees by which its vertical lines are slanted.
        scale: it is enlarged or reduced by a factor of up to ``1 + scale``.
        move: most it is moved along each axis, as a share of its side.
        cover: most of its area that a rectangle covers, which gets the image's mean colour (DeVries and Taylor 2017;
            Zhong et al. 2020).

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> augment = lm.kinds.ImageAugmentation(zoom=0.5, colour=0.4)
        >>> augment(torch.rand(6, 3, 32, 32), torch.Generator().manual_seed(0)).shape
        torch.Size([6, 3, 32, 32])
    """

    def __init__(
        self,
        *,
        flip: float = 0.5,
        zoom: float = 1.0,
        colour: float = 0.0,
        turn: float = 0.0,
        shear: float = 0.0,
        scale: float = 0.0,
        move: float = 0.0,
        cover: float = 0.0,
    ) -> None:
        shares = {"flip": flip, "colour": colour, "scale": scale, "move": move, "cover": cover}
        limits = {**dict.fromkeys(shares, 1), "turn": 180, "shear": 45}
        for name, value in {**shares, "turn": turn, "shear": shear}.items():
            if not 0 <= value <= limits[name]:
                raise ValueError(f"ImageAugmentation: {name} is {value}; give a number from 0 to {limits[name]}.")
        if not 0 < zoom <= 1:
            raise ValueError(f"ImageAugmentation: zoom is {zoom}; give a share of the area above 0, at most 1.")
        self.flip = flip
        self.zoom = zoom
        self.colour = colour
        self.turn = turn
        self.shear = shear
        self.scale = scale
        self.move = move
        self.cover = cover

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change images.

        Args:
            images: in [0, 1], shape ``(n, channels, height, width)``; without ``colour`` of any values.
            generator: of what is drawn, on the CPU.

        Returns:
            Images of the same shape, in [0, 1].
        """
        draws = torch.rand(8, len(images), generator=generator).to(images)
        if self.turn or self.shear or self.scale or self.move:
            images = self._place(images, draws[:4], torch.rand(5, len(images), generator=generator).to(images))
        elif self.zoom < 1:
            images = self._place(images, draws[:4])
        if self.flip:
            mirrored = draws[4] < self.flip
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if self.colour:
            images = self._colour(images, draws[5:])
        if self.cover:
            images = self._covered(images, torch.rand(4, len(images), generator=generator).to(images))
        return images

    def of_episode(self, episode: Episode, generator: torch.Generator) -> Episode:
        """Change the images of an episode, each support and query image by itself.

        Args:
            episode: of images.
            generator: of what is drawn, on the CPU.

        Raises:
            ValueError: it has no images.
        """
        support, query = episode.support, episode.query
        if support.inputs.dim() != 4:
            raise ValueError(
                f"{episode.id} has {describe_shape(episode.shape)}, and ImageAugmentation changes images: leave "
                "'augmentation' out."
            )
        first, second = self(torch.cat([support.inputs, query.inputs]), generator).split([len(support), len(query)])
        return replace(episode, train=Split(first, support.labels), test=Split(second, query.labels))

    def _place(self, images: Tensor, draws: Tensor, more: Tensor | None = None) -> Tensor:
        """Cut a part out of each image, and turn, slant, scale and move it."""
        # Draws in [0, 1), shape `(4, n)`: of area, ratio of the sides and place; and of the rest, `(5, n)`.
        side = (self.zoom + (1 - self.zoom) * draws[0]).sqrt()
        # Sides from 3:4 to 4:3, as torchvision's, as far as none becomes longer than the image's.
        most = torch.minimum(-side.log(), torch.full_like(side, math.log(4 / 3) / 2))
        stretch = ((2 * draws[1] - 1) * most).exp()
        width, height = side * stretch, side / stretch
        none = torch.zeros_like(side)
        across = torch.stack([width, none, (1 - width) * (2 * draws[2] - 1)], dim=-1)
        down = torch.stack([none, height, (1 - height) * (2 * draws[3] - 1)], dim=-1)
        placed = torch.stack([across, down], dim=1)
        if more is not None:
            placed = placed @ self._turned(more, images.shape[3] / images.shape[2])
        grid = affine_grid(placed, list(images.shape), align_corners=False)
        return grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _turned(self, draws: Tensor, ratio: float) -> Tensor:
        """Matrices ``(n, 3, 3)`` that turn, slant, scale and move, of images whose width has a ratio to the height."""
        turn, shear, scale, right, below = (2 * draws - 1).unbind()
        angle, slant = torch.deg2rad(self.turn * turn), torch.deg2rad(self.shear * shear).tan()
        factor = (math.log1p(self.scale) * scale).exp()
        cos, sin = factor * angle.cos(), factor * angle.sin()
        none = torch.zeros_like(cos)
        # Both axes are from -1 to 1: one unit is as many times longer as the side is.
        rows = (
            torch.stack([cos, (cos * slant - sin) / ratio, 2 * self.move * right], dim=-1),
            torch.stack([sin * ratio, sin * slant + cos, 2 * self.move * below], dim=-1),
            torch.stack([none, none, none + 1], dim=-1),
        )
        return torch.stack(rows, dim=1)

    def _covered(self, images: Tensor, draws: Tensor) -> Tensor:
        """Cover a rectangle of each image; draws in [0, 1), shape ``(4, n)``: of area, ratio of the sides and place."""
        height, width = images.shape[2:]
        side = (self.cover * draws[0]).sqrt()
        stretch = ((2 * draws[1] - 1) * torch.minimum(-side.log(), torch.full_like(side, math.log(2) / 2))).exp()
        hidden = []
        for places, share, begin in ((height, side / stretch, draws[2]), (width, side * stretch, draws[3])):
            size = (places * share).round()[:, None]
            first = (begin[:, None] * (places - size + 1)).floor()
            place = torch.arange(places, device=images.device)
            hidden.append((place >= first) & (place < first + size))
        covered = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
        return torch.where(covered, images.mean((2, 3), keepdim=True), images)

    def _colour(self, images: Tensor, draws: Tensor) -> Tensor:
        """Change brightness, contrast and saturation; draws in [0, 1), shape ``(3, n)``."""
        # All three are linear in the image, its grey values and their mean. So they are one pass over the pixels, and
        # values are cut off at 0 and 1 once, where torchvision does it after each.
        factors = 1 + self.colour * (2 * draws - 1)
        brightness, contrast, saturation = factors[..., None, None, None].unbind()
        grey = _brightness(images)
        constant = brightness * (1 - contrast) * grey.mean((2, 3), keepdim=True)
        whole = brightness * contrast
        if images.shape[1] == 3:
            constant = constant + whole * (1 - saturation) * grey
            whole = whole * saturation
        return torch.addcmul(constant, images, whole).clamp_(0, 1)


def _brightness(images: Tensor) -> Tensor:
    """How bright each pixel is: shape ``(n, channels, height, width)`` to ``(n, 1, height, width)``."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = (value * images[:, place, None] for place, value in enumerate(GREY))
    return red + green + blue
