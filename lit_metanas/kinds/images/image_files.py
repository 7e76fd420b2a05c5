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

LARGEST_IMAGE, MOST_IMAGE_PIXELS = 1 << 28, 1 << 26
"""Bytes of an image file, and pixels of an image."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Those of the suffixes. Pillow tells formats by their first bytes, and for some it starts other programs."""

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""How the names of image files end, in small letters."""


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


def has_colour(file: Path) -> bool:
    """Whether any pixel of a readable image is not grey."""
    red, green, blue = read_image(file, (3, 32, 32))
    return not (torch.equal(red, green) and torch.equal(green, blue))


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
    """Mirrors images, cuts parts out of them, and changes their colours; a pure function of images and a generator.

    The transforms of torchvision draw once for a whole batch, from the global generator. Here each image has draws of
    its own, and all are computed together.

    Args:
        flip: probability that left and right change places.
        zoom: least share of the area of an image that is cut out, at a random place, and brought to the size of the
            whole; 1 cuts nothing.
        colour: brightness, contrast and, of images in colour, saturation are each multiplied by a factor between
            ``1 - colour`` and ``1 + colour``.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> augment = lm.kinds.ImageAugmentation(zoom=0.5, colour=0.4)
        >>> augment(torch.rand(6, 3, 32, 32), torch.Generator().manual_seed(0)).shape
        torch.Size([6, 3, 32, 32])
    """

    def __init__(self, *, flip: float = 0.5, zoom: float = 1.0, colour: float = 0.0) -> None:
        for name, value in (("flip", flip), ("colour", colour)):
            if not 0 <= value <= 1:
                raise ValueError(f"ImageAugmentation: {name} is {value}; give a number from 0 to 1.")
        if not 0 < zoom <= 1:
            raise ValueError(f"ImageAugmentation: zoom is {zoom}; give a share of the area above 0, at most 1.")
        self.flip = flip
        self.zoom = zoom
        self.colour = colour

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change images.

        Args:
            images: in [0, 1], shape ``(n, channels, height, width)``.
            generator: of what is drawn, on the CPU.

        Returns:
            Images of the same shape, in [0, 1].
        """
        draws = torch.rand(8, len(images), generator=generator).to(images)
        if self.zoom < 1:
            images = self._cut(images, draws[:4])
        if self.flip:
            mirrored = draws[4] < self.flip
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if self.colour:
            images = self._colour(images, draws[5:])
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

    def _cut(self, images: Tensor, draws: Tensor) -> Tensor:
        """Cut a part out of each image; draws in [0, 1), shape ``(4, n)``: of area, ratio of the sides and place."""
        side = (self.zoom + (1 - self.zoom) * draws[0]).sqrt()
        # Sides from 3:4 to 4:3, as torchvision's, as far as none becomes longer than the image's.
        most = torch.minimum(-side.log(), torch.full_like(side, math.log(4 / 3) / 2))
        stretch = ((2 * draws[1] - 1) * most).exp()
        width, height = side * stretch, side / stretch
        none = torch.zeros_like(side)
        across = torch.stack([width, none, (1 - width) * (2 * draws[2] - 1)], dim=-1)
        down = torch.stack([none, height, (1 - height) * (2 * draws[3] - 1)], dim=-1)
        grid = affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
        return grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _colour(self, images: Tensor, draws: Tensor) -> Tensor:
        """Change brightness, contrast and saturation; draws in [0, 1), shape ``(3, n)``."""
        factors = 1 + self.colour * (2 * draws - 1)
        brightness, contrast, saturation = factors[..., None, None, None].unbind()
        images = (images * brightness).clamp(0, 1)
        grey = _brightness(images)
        images = (grey.mean((2, 3), keepdim=True).lerp(images, contrast)).clamp(0, 1)
        if images.shape[1] != 3:
            return images
        return _brightness(images).lerp(images, saturation).clamp(0, 1)


def _brightness(images: Tensor) -> Tensor:
    """How bright each pixel is: shape ``(n, channels, height, width)`` to ``(n, 1, height, width)``."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    weights = torch.tensor(GREY).to(images)[:, None, None]
    return (images * weights).sum(1, keepdim=True)
