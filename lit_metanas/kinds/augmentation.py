"""Random changes of the examples that a network is trained on, by kind of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.inputs.shapes import PADDING, Shape, TextRowShape
from lit_metanas.kinds.images.image_files import ImageAugmentation

NO_AUGMENTATION = "none"

MASKS = 2
"""Of the bands, and of the steps, of a series."""


@dataclass(frozen=True)
class _Strength:
    """How much is changed."""

    images: Mapping[str, float]  # of ``ImageAugmentation``, but for mirroring
    bands: float  # the widest mask of bands, as a share of all
    steps: float  # the widest mask of steps, as a share of those of an example
    moves: float  # how far a series is moved at most, as a share of its steps
    tokens: float  # probability that a token is hidden
    noise: float  # standard deviation of what is added to rows, as a share of their columns'


_STRENGTHS: Mapping[str, _Strength] = {
    "light": _Strength(
        {"turn": 10.0, "scale": 0.15, "move": 0.1, "colour": 0.2},
        bands=15 / 80, steps=0.2, moves=0.1, tokens=0.1, noise=0.1,
    ),
    "strong": _Strength(
        {"turn": 15.0, "shear": 10.0, "scale": 0.3, "move": 0.15, "colour": 0.4, "cover": 0.25},
        bands=27 / 80, steps=0.2, moves=0.5, tokens=0.3, noise=0.3,
    ),
}  # fmt: skip
"""Masks are those of the policies SM and SS (Park et al. 2019, Table 1); 0.3 of the words, Iyyer et al. (2015).

Moves by a tenth, as of Warden (2018), took digits of a new speaker from 68.4 to 72.3 % and environmental sounds from
88.1 to 89.5 on inner folds; by half these had 90.5, and the digits 64.3.
"""

AUGMENTATIONS = (NO_AUGMENTATION, *_STRENGTHS)
"""What a recipe may have, each stronger than the one before."""


def colours_can_change(inputs: Tensor) -> bool:
    """Whether inputs are images in [0, 1] or of 8 bits, so that brightness and contrast mean something."""
    if inputs.dtype == torch.uint8:
        return True
    return inputs.dim() == 4 and len(inputs) > 0 and bool(inputs.min() >= 0) and bool(inputs.max() <= 1)


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
    if inputs.dim() == 4:
        change = dict(_STRENGTHS[augmentation].images) if augmentation != NO_AUGMENTATION else {}
        if not colours:
            change.pop("colour", None)
        if not change and not mirror:
            return inputs
        return ImageAugmentation(flip=0.5 * mirror, **change)(inputs, generator)
    if augmentation == NO_AUGMENTATION:
        return inputs
    strength = _STRENGTHS[augmentation]
    if inputs.dim() == 3:
        if moving:
            inputs = move_series(inputs, strength.moves, generator)
        return mask_series(inputs, strength.bands, strength.steps, generator)
    if not inputs.is_floating_point():
        return hide_tokens(inputs, strength.tokens, generator)
    if not isinstance(shape, TextRowShape):
        return add_noise(inputs, strength.noise, generator)
    numbers, tokens = shape.split(inputs)
    changed = hide_tokens(tokens, strength.tokens, generator)
    return torch.cat([add_noise(numbers, strength.noise, generator), changed.to(inputs)], 1)


def mixed(inputs: Tensor, concentration: float, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Mix each example with another one of its batch: mixup (Zhang et al. 2018)."""
    # torch's Beta distribution takes no generator.
    draw = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator)))
    weight = float(draw.beta(concentration, concentration))
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
