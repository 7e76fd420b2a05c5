"""Random affine maps, elastic warps and changes of stroke width: what makes each instance of a glyph another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Distortion:
    """How strongly instances are distorted. The larger the numbers, the harder the data.

    No rotation by large angles: Canadian syllabics are rotations of one another.

    Args:
        rotation: largest angle, in degrees.
        scale: smallest size, as a fraction of the largest.
        stretch: largest relative change of the ratio of width to height.
        shear: largest horizontal shift a unit of height.
        shift: largest shift, as a fraction of half the image's side.
        warp: standard deviation of the elastic displacement, as a fraction of half the image's side.
        warp_knots: knots of the elastic displacement a side, at least 2; more knots make finer waves.
        stroke: largest dilation or erosion: 1 adds or removes a pixel (of 56) on either side of a stroke.
    """

    rotation: float = 22.0
    scale: float = 0.55
    stretch: float = 0.35
    shear: float = 0.4
    shift: float = 0.2
    warp: float = 0.11
    warp_knots: int = 5
    stroke: float = 1.0

    def __call__(self, masters: Tensor, generator: np.random.Generator) -> Tensor:
        """Distort images and halve their side.

        Args:
            masters: float images in [0, 1], shape ``(n, 2 * side, 2 * side)``.
            generator: the source of randomness.

        Returns:
            uint8 images, shape ``(n, side, side)``.
        """
        n, side, _ = masters.shape
        inked = self._stroke(masters, torch.from_numpy(generator.uniform(-1, 1, n)).float())
        theta = self._affine(torch.from_numpy(generator.uniform(-1, 1, (n, 6))).float())
        grid = F.affine_grid(theta, [n, 1, side, side], align_corners=False)
        knots = torch.from_numpy(generator.standard_normal((n, 2, self.warp_knots, self.warp_knots))).float()
        waves = F.interpolate(knots, size=(side, side), mode="bicubic", align_corners=True)
        grid = grid + self.warp * waves.permute(0, 2, 3, 1)
        warped = F.grid_sample(inked[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        small = F.avg_pool2d(warped, 2)[:, 0]
        return small.clamp(0, 1).mul(255).round().to(torch.uint8)

    def _stroke(self, masters: Tensor, amount: Tensor) -> Tensor:
        """Blend each image with its dilation (amount > 0) or erosion (amount < 0) by a 3x3 window."""
        amount = (self.stroke * amount)[:, None, None]
        dilated = F.max_pool2d(masters[:, None], 3, stride=1, padding=1)[:, 0]
        eroded = -F.max_pool2d(-masters[:, None], 3, stride=1, padding=1)[:, 0]
        blended = masters + amount.clamp(min=0) * (dilated - masters) + amount.clamp(max=0) * (masters - eroded)
        return blended.clamp(0, 1)

    def _affine(self, u: Tensor) -> Tensor:
        """Turn uniform numbers in [-1, 1], shape ``(n, 6)``, into maps from output to input, ``(n, 2, 3)``."""
        angle = u[:, 0] * self.rotation * np.pi / 180
        scale = 1.15 * (1 - (1 - self.scale) * (u[:, 1] + 1) / 2)
        stretch = torch.exp(u[:, 2] * np.log1p(self.stretch) / 2)
        cos, sin, shear = angle.cos(), angle.sin(), u[:, 3] * self.shear
        # inverse map = (rotation @ shear @ scaling)^-1 is again of this form: draw it directly
        a, b = cos + shear * sin, shear * cos - sin
        c, d = sin, cos
        rows = [
            torch.stack([a / (scale * stretch), b / (scale * stretch), u[:, 4] * self.shift], dim=1),
            torch.stack([c * stretch / scale, d * stretch / scale, u[:, 5] * self.shift], dim=1),
        ]
        return torch.stack(rows, dim=1)
