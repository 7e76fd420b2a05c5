"""Images of another source, made harder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lit_metanas.tasks import Subset, TaskSource


class AlteredImages(TaskSource):
    """The classes of another source; its images negative, noisy or of half the side.

    Args:
        source: of the images.
        name: of this source.
        negative: whether black and white are swapped.
        noise: standard deviation of what is added to each pixel, of 1 between black and white.
        halved: whether pixels are averaged in squares of four, after noise was added.
    """

    def __init__(self, source: TaskSource, name: str, negative: bool, noise: float, halved: bool) -> None:
        self.source = source
        self._name = name
        self.negative = negative
        self.noise = noise
        self.halved = halved

    @property
    def name(self) -> str:
        """The given name."""
        return self._name

    @property
    def shape(self) -> tuple[int, int, int]:
        """The source's, or half of it."""
        channels, height, width = self.source.shape
        return (channels, height // 2, width // 2) if self.halved else (channels, height, width)

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the source's classes."""
        return self.source.classes(subset)

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the source's number of images."""
        return self.source.instances(subset, class_index, held_out)

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return altered images; the noise of each is a function of its class and number."""
        pixels = self.source.inputs(subset, class_index, instances, held_out).float() / 255
        if self.negative:
            pixels = 1 - pixels
        if self.noise:
            seeds = [(class_index, number, int(held_out)) for number in instances]
            drawn = [np.random.default_rng(seed).standard_normal(pixels.shape[1:]) for seed in seeds]
            pixels = (pixels + self.noise * torch.from_numpy(np.stack(drawn)).float()).clamp(0, 1)
        if self.halved:
            pixels = F.avg_pool2d(pixels, 2)
        return pixels.mul(255).round().to(torch.uint8)
