"""A set encoder whose network is not trained."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.episodes.task import Split
from lit_metanas.episodes.task_embedding import TaskEmbedding, over_classes

CHUNK = 256
"""Images that are convolved at a time."""


class RandomFeatures(TaskEmbedding):
    """Mean and spread over the classes of random convolutional features, ``2 * width`` features.

    A set encoder (Deep Sets, Zaheer et al. 2017; of a data set, Dataset2Vec, Jomaa et al. 2021): every image goes
    through one network, and what comes out is averaged, first over the images of a class, then over classes. It is two
    random convolutions of 5x5 and 3x3 with rectifiers and average pooling, averaged over what is left of the
    image: random features keep much of what tells images apart (Jarrett et al. 2009; Rahimi and Recht 2008), and are
    the same in every run. Images are brought to a common size, grey ones to three equal channels.

    Args:
        width: features of an image.
        size: height and width to which images are brought.
        seed: of the network.
    """

    def __init__(self, width: int = 8, size: int = 28, seed: int = 0) -> None:
        for name, value, least in (("width", width, 1), ("size", size, 4), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"RandomFeatures: {name} = {value} must be at least {least}.")
        self.width = width
        self.size = size
        self.seed = seed

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(2 * width,)``: means over classes, then their standard deviations."""
        found = torch.cat([self._encoded(part) for part in train.inputs.split(CHUNK)])
        return over_classes(found, train.labels, way)

    def _encoded(self, images: Tensor) -> Tensor:
        """Random features, shape ``(n, width)``."""
        if images.shape[1] != 3:
            images = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        if images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        generator = torch.Generator().manual_seed(self.seed)
        hidden = 2 * self.width
        first = torch.randn(hidden, 3, 5, 5, generator=generator) * math.sqrt(2 / (3 * 25))
        second = torch.randn(self.width, hidden, 3, 3, generator=generator) * math.sqrt(2 / (hidden * 9))
        found = F.conv2d(2 * images.float() - 1, first.to(images.device), padding=2)
        found = F.conv2d(F.avg_pool2d(F.relu(found), 2), second.to(images.device), padding=1)
        return F.relu(found).mean(dim=(2, 3))
