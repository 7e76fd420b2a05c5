"""Image files, and images as tensors."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.class_folders import files_in
from lit_metanas.io.files import read_regular
from lit_metanas.io.text import writable

LARGEST_IMAGE, MOST_IMAGE_PIXELS = 1 << 28, 1 << 26
"""Bytes of an image file, and pixels of an image."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Those of the suffixes. Pillow tells formats by their first bytes, and for some it starts other programs."""

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""How the names of image files end, in small letters."""


def read_image(file: Path, shape: tuple[int, int, int]) -> Tensor:
    """Read one image and bring it to a shape.

    Args:
        file: the image file.
        shape: ``(channels, height, width)``; one channel gives grey, three colour.

    Returns:
        uint8, of the given shape.

    Raises:
        ValueError: the file is not a readable image.
    """
    channels, height, width = shape
    try:
        with Image.open(BytesIO(read_regular(file, LARGEST_IMAGE)), formats=_FORMATS) as image:
            if image.width * image.height > MOST_IMAGE_PIXELS:
                raise ValueError("it has too many pixels")
            ImageOps.exif_transpose(image, in_place=True)  # a copy of the most pixels would take 256 MB
            upright = _in_eight_bits(image).convert("L" if channels == 1 else "RGB")
            if upright.size != (width, height):
                upright = upright.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.array(upright, dtype=np.uint8)
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise ValueError(f"{writable(str(file))} is not a readable image: replace or remove it.") from error
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def has_colour(file: Path) -> bool:
    """Whether any pixel of an image is not grey.

    Raises:
        ValueError: the file is not a readable image.
    """
    red, green, blue = read_image(file, (3, 32, 32))
    return not (torch.equal(red, green) and torch.equal(green, blue))


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits, which Pillow would cut off at 255; other images stay as they are."""
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))):
        return image
    values = np.array(image, dtype=np.int32)
    values += 128
    values //= 257  # rounded to the nearest
    return Image.fromarray(values.astype(np.uint8))


def read_images(files: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """Read several images, uint8, shape ``(n, channels, height, width)``."""
    return torch.stack([read_image(file, shape) for file in files])


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, by name."""
    return files_in(folder, SUFFIXES)


def require_shape(owner: str, shape: tuple[int, int, int]) -> None:
    """Raise ``ValueError`` unless a shape is one or three channels and a positive height and width."""
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1:
        raise ValueError(f"{owner}: shape = {tuple(shape)} must be (channels, height, width) with 1 or 3 channels.")
