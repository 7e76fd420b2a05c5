"""Random changes of the examples that a network is trained on, by kind of input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.inputs.shapes import PADDING, Shape, TextRowShape, describe_shape
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.kinds.images.image_files import GREY
from lit_metanas.tasks.episode_loader import EpisodeAugmentation
from lit_metanas.tasks.task import Episode, Split

NO_AUGMENTATION = "none"

# Masks of bands, and masks of steps, in each series.
MASKS = 2


@dataclass(frozen=True)
class _Strength:
    images: Mapping[str, float]  # of ``ImageAugmentation``, but for mirroring
    bands: float  # the widest mask of bands, as a share of all
    steps: float  # the widest mask of steps, as a share of those of an example
    moves: float  # how far a series is moved at most, as a share of its steps
    tokens: float  # probability that a token is hidden
    noise: float  # standard deviation of what is added to rows, as a share of their columns'


# Masks are those of the policies SM and SS (Park et al. 2019, Table 1); 0.3 of the words, Iyyer et al. (2015).
# Moves by a tenth, as of Warden (2018), took digits of a new speaker from 68.4 to 72.3 % and environmental sounds from
# 88.1 to 89.5 on inner folds; by half these had 90.5, and the digits 64.3.
_STRENGTHS: Mapping[str, _Strength] = {
    NO_AUGMENTATION: _Strength({}, bands=0, steps=0, moves=0, tokens=0, noise=0),
    "light": _Strength(
        {"turn": 10.0, "scale": 0.15, "move": 0.1, "colour": 0.2},
        bands=15 / 80, steps=0.2, moves=0.1, tokens=0.1, noise=0.1,
    ),
    "strong": _Strength(
        {"turn": 15.0, "shear": 10.0, "scale": 0.3, "move": 0.15, "colour": 0.4, "cover": 0.25},
        bands=27 / 80, steps=0.2, moves=0.5, tokens=0.3, noise=0.3,
    ),
}  # fmt: skip

# The augmentations of a recipe, each stronger than the one before.
AUGMENTATIONS = (*_STRENGTHS,)


def colours_can_change(inputs: Tensor) -> bool:
    """Whether inputs are images in [0, 1] or of 8 bits, so that brightness and contrast mean something."""
    return inputs.dtype == torch.uint8 or (
        inputs.dim() == 4 and len(inputs) > 0 and bool(inputs.min() >= 0) and bool(inputs.max() <= 1)
    )


def augment(
    inputs: Tensor,
    augmentation: str,
    generator: torch.Generator,
    *,
    shape: Shape | None = None,
    colours: bool = False,
    mirror: bool = False,
    moving: bool = False,
) -> Tensor:
    """Change examples of any kind at random, each by itself, by one of ``AUGMENTATIONS``."""
    # Images are turned, scaled and moved; their brightness, contrast and saturation change if `colours` may change:
    # `colours_can_change` of all that are trained on, so that each batch is changed alike. With `mirror`, half of them
    # are mirrored, without augmentation, too. Series are moved in time if they are `moving`: no answer has a place
    # or an order in them. The `shape` of an input is only needed where its last numbers are tokens of a text. The
    # generator is on the CPU.
    strength = _STRENGTHS[augmentation]
    if inputs.dim() == 4:
        change = dict(strength.images)
        if not colours:
            change.pop("colour", None)
        if not change and not mirror:
            return inputs
        return ImageAugmentation(flip=0.5 * mirror, **change)(inputs, generator)
    if augmentation == NO_AUGMENTATION:
        return inputs
    if inputs.dim() == 3:
        if moving:
            inputs = move_series(inputs, strength.moves, generator)
        return mask_series(inputs, strength.bands, strength.steps, generator)
    if not inputs.is_floating_point():
        return hide_tokens(inputs, strength.tokens, generator)
    if not isinstance(shape, TextRowShape):
        return add_noise(inputs, strength.noise, generator)
    numbers, tokens = shape.split(inputs)
    changed = hide_tokens(tokens, strength.tokens, generator)  # before noise is drawn
    return torch.cat([add_noise(numbers, strength.noise, generator), changed.to(inputs)], 1)


def mixed(inputs: Tensor, concentration: float, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Mix each example with another one of its batch: mixup (Zhang et al. 2018)."""
    # torch's Beta distribution takes no generator.
    seed = int(torch.randint(1 << 62, (), generator=generator))
    weight = float(np.random.default_rng(seed).beta(concentration, concentration))
    others = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    return inputs[others].lerp(inputs, weight), others, weight


def move_series(series: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Move each series in time by up to a share of its steps; what leaves it at one end enters at the other.

    Shape ``(n, features, steps)``; the mask of steps stays, as it is 1 in all that is moved.
    """
    lengths = step_mask(series).sum(1, keepdim=True)
    draws = torch.rand(len(series), 1, generator=generator).to(series.device)
    moves = ((2 * draws - 1) * most * lengths).round().long()
    place = torch.arange(series.shape[2], device=series.device).expand(len(series), -1)
    source = torch.where(place < lengths, (place - moves) % lengths.clamp(min=1), place)
    return series.gather(2, source[:, None].expand_as(series))


def mask_series(series: Tensor, bands: float, steps: float, generator: torch.Generator) -> Tensor:
    """Hide ``MASKS`` blocks of bands and of steps, ``(n, features, steps)``: SpecAugment (Park et al. 2019)."""
    # Differs from the paper in that time is not warped, which it found to add least, and in that no mask of steps has
    # another bound than its share of the example. What is hidden becomes the mean of the example, as in the paper,
    # where that is 0. The mask of steps, and what lies behind the end of an example, stay.
    values, within = series[:, :-1], step_mask(series)
    features, longest = values.shape[1:]
    draws = torch.rand(2, 2, MASKS, len(series), generator=generator).to(series.device)
    lengths = within.sum(1)
    hidden_bands = _blocks(draws[0], torch.full_like(lengths, features), bands, features)
    hidden_steps = _blocks(draws[1], lengths, steps, longest)
    hidden = (hidden_bands[:, :, None] | hidden_steps[:, None]) & within[:, None]
    means = (values * within[:, None]).sum((1, 2)) / (features * lengths).clamp(min=1)
    return torch.cat([torch.where(hidden, means[:, None, None], values), series[:, -1:]], dim=1)


def _blocks(draws: Tensor, sizes: Tensor, widest: float, places: int) -> Tensor:
    """The places that blocks cover, ``(n, places)``, by draws of width and begin, ``(2, blocks, n)``, within sizes."""
    most = (widest * sizes).floor()
    width = (draws[0] * (most + 1)).floor().minimum(most)
    last = sizes - width
    begin = (draws[1] * (last + 1)).floor().minimum(last)
    place = torch.arange(places, device=draws.device)
    return ((place >= begin[..., None]) & (place < (begin + width)[..., None])).any(0)


def hide_tokens(tokens: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Replace some tokens ``(n, steps)`` by that of an unknown word: word dropout (Iyyer et al. 2015)."""
    # That token is 1, as of all preprocessings of texts here; padding stays.
    hidden = (torch.rand(tokens.shape, generator=generator) < share).to(tokens.device)
    return tokens.masked_fill(hidden & (tokens != PADDING), UNKNOWN)


def add_noise(rows: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise, which smooths what is learned as a penalty on its slope does (Bishop 1995)."""
    # It is a share of each column's deviation within the batch, or of 1 where that is larger. Shape `(n, numbers)`.
    deviations = rows.std(0, correction=0).clamp(max=1)
    noise = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
    return rows + share * deviations * noise


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
            images = torch.where((draws[4] < self.flip)[:, None, None, None], images.flip(-1), images)
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
        placed = torch.stack(
            [
                torch.stack([width, none, (1 - width) * (2 * draws[2] - 1)], dim=-1),
                torch.stack([none, height, (1 - height) * (2 * draws[3] - 1)], dim=-1),
            ],
            dim=1,
        )
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
        return torch.stack(
            [
                torch.stack([cos, (cos * slant - sin) / ratio, 2 * self.move * right], dim=-1),
                torch.stack([sin * ratio, sin * slant + cos, 2 * self.move * below], dim=-1),
                torch.stack([none, none, none + 1], dim=-1),
            ],
            dim=1,
        )

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
        whole = brightness * contrast
        if images.shape[1] != 3:
            constant = brightness * (1 - contrast) * images.mean(1, keepdim=True).mean((2, 3), keepdim=True)
            return torch.addcmul(constant, images, whole).clamp_(0, 1)
        red, green, blue = (value * images[:, place, None] for place, value in enumerate(GREY))
        grey = red + green + blue
        constant = brightness * (1 - contrast) * grey.mean((2, 3), keepdim=True) + whole * (1 - saturation) * grey
        return torch.addcmul(constant, images, whole * saturation).clamp_(0, 1)
