"""Images as users have them, in files and in memory, brought to one form."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import ImageShape, Shape, image_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import read_regular
from lit_metanas.io.text import writable

# Shape ``(n, height, width)``, ``(n, channels, height, width)`` or ``(n, height, width, channels)``.
Images: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]


# Images of different shapes are brought to this one, in files and in memory.
USUAL_IMAGE = ImageShape(3, 32, 32)

Channels: TypeAlias = Literal["first", "last"]

# Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)

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
    mode, name = {1: "L"}.get(channels, "RGB"), writable(str(file))
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


def checked_shape(owner: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """A shape of one or three channels and a positive height and width, as a list of YAML or a tuple has it."""
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1:
        raise ValueError(f"{owner}: shape = {tuple(shape)} must be (channels, height, width) with 1 or 3 channels.")
    return shape[0], shape[1], shape[2]


def image_tensor(images: Images, *, channels: Channels | None = None, name: str = "X") -> Tensor:
    """A copy of images as a tensor, shape ``(n, channels, height, width)``, uint8 or float32 in [0, 1]."""
    images = _copied(images, name)
    if images.dtype != torch.uint8:
        if images.dtype != torch.bool and not images.is_floating_point():
            raise ValueError(f"{name} holds {str(images.dtype)[6:]}: give uint8 from 0 to 255 or floats in [0, 1].")
        images = images.float()
        _check_range(images, name)
    return _channels_first(images, channels, name).contiguous()


def _copied(images: Images, name: str) -> Tensor:
    if isinstance(images, Tensor):
        return images.detach().clone()
    pictures = Image.Image | np.ndarray | Tensor
    if isinstance(images, Sequence) and images and all(isinstance(each, pictures) for each in images):
        return one_shape([pixels_of(each, f"Image {place} of {name}") for place, each in enumerate(images)], name)
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError(f"{name} holds images of different shapes: resize them to one.") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}, not numbers: give uint8 or floats in [0, 1].")
    kept = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype
    # In the machine's byte order, as negative strides and read-only memory are not for torch.
    return torch.from_numpy(np.array(array, dtype=kept.newbyteorder("="), order="C"))


def pixels_of(image: Any, place: str) -> Tensor:
    """The pixels of an image of Pillow, of an array or of a tensor, as they are."""
    if isinstance(image, Image.Image):
        if image.mode[0] in "IF":
            raise ValueError(f"{place} has pixels of mode {image.mode}: bring them to 8 bits in its transform.")
        image = np.asarray(over_white(image, {"1": "L", "L": "L", "LA": "L"}.get(image.mode, "RGB")))
    if isinstance(image, np.ndarray) and image.dtype.kind in "biuf":
        return torch.from_numpy(image.copy())
    if isinstance(image, Tensor):
        return image.detach()
    raise ValueError(
        f"{place} begins with a {type(image).__name__}, not with an image: give tensors, arrays or Pillow's images."
    )


def one_shape(images: Sequence[Tensor], name: str) -> Tensor:
    """Images as one tensor; where their shapes differ, all in colour and of the usual size, as those of files are."""
    if len({(image.shape, image.dtype) for image in images}) == 1:
        return torch.stack([*images])
    fitted = []
    for image in images:
        layers = _channels_first(image[None], None, name)
        if layers.dtype != torch.uint8:
            _check_range(layers.float(), name)
        fitted.append(fit_images(layers, USUAL_IMAGE))
    return torch.cat(fitted).mul_(255).round_().byte()


def over_white(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image to ``L`` or ``RGB``; one with transparent pixels, whose colours nobody sees, lies over white."""
    if not image.has_transparency_data:
        return image.convert(mode)
    layer = image
    if image.mode != "RGBA":  # a conversion to the same mode is a copy, of the most pixels 256 MB
        layer = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer)
    return white if mode == "RGB" else white.convert(mode)


def _check_range(images: Tensor, name: str) -> None:
    if not bool(torch.isfinite(images).all()):
        bad = int((~torch.isfinite(images)).nonzero()[0, 0])
        raise ValueError(f"{name} has values that are not finite, the first in image {bad}: leave it out or fix it.")
    if images.numel() and (float(images.min()) < 0 or float(images.max()) > 1):
        low, high = float(images.min()), float(images.max())
        fix = "divide them by 255" if low >= 0 and high <= 255 else "scale them to [0, 1]"
        if images.dim() == 3 and low < 0:
            fix += ", or say kind='series' if they are series, (n, channels, steps)"
        raise ValueError(f"{name} has floats from {low:g} to {high:g}: {fix}.")


def _channels_first(images: Tensor, channels: Channels | None, name: str) -> Tensor:
    shape = tuple(images.shape)
    if channels not in (None, "first", "last"):
        raise ValueError(f"channels = {channels!r} must be 'first', 'last' or None.")
    if len(shape) == 3 and min(shape[1:]) > 0:
        return images[:, None]
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise ValueError(
            f"{name} has shape {shape}: give (n, height, width), (n, channels, height, width) or (n, height, width, "
            "channels), or reshape rows of pixels to one of these."
        )
    if channels is None:
        usual = [place for place in (1, 3) if shape[place] in (1, 3)]
        places = usual or [place for place in (1, 3) if shape[place] < min(shape[2], shape[4 - place])]
        if len(places) != 1:
            raise ValueError(
                f"{name} has shape {shape}, in which the channels may come first or last: say channels='first' or "
                "channels='last'."
            )
        channels = "first" if places == [1] else "last"
    if channels == "last":
        return images.permute(0, 3, 1, 2)
    return images


def fit_images(images: Tensor, shape: Shape) -> Tensor:
    """Bring images ``(n, channels, height, width)`` to a shape, float32 in [0, 1]: grey or colour, resized."""
    channels, height, width = image_shape(shape)
    if images.ndim != 4 or (images.shape[1] != channels and {images.shape[1], channels} != {1, 3}):
        raise ValueError(
            f"Images of shape {tuple(images.shape)} do not fit a network for {(channels, height, width)}: give (n, "
            "channels, height, width) with 1 or 3 channels."
        )
    floats = as_floats(images).float()
    if images.shape[1] < channels:
        floats = floats.expand(-1, channels, -1, -1)
    elif images.shape[1] > channels:
        floats = torch.einsum("nchw,c->nhw", floats, floats.new_tensor(GREY)).unsqueeze(1)
    if floats.shape[2:] == (height, width):
        return floats
    return F.interpolate(floats, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
