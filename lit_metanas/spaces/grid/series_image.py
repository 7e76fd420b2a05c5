"""Series of feature vectors, such as spectra, as images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import ImageShape, SeriesShape
from lit_metanas.spaces.operations import padded

TALLEST = 2
"""Rows of an image for each of its columns, at most."""


class SeriesImage(nn.Module):
    """Series as images: steps from top to bottom, features from left to right.

    A long series has several neighbouring steps in one row, as channels, so that an image of 250 steps costs little
    more than one of 60. The last channel is the share of a row's steps that lie within the example.

    Attributes:
        joined: steps of a row, a power of two.
        shape: of an image, with a column for each feature but the mask.

    Example:
        >>> image = SeriesImage(SeriesShape(features=41, steps=250))
        >>> image.joined, image.shape, image(torch.rand(2, 41, 90)).shape
        (4, ImageShape(channels=5, height=63, width=40), torch.Size([2, 5, 63, 40]))
    """

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__()
        columns, self.joined = max(1, shape.features - 1), 1
        while shape.steps > TALLEST * self.joined * columns:
            self.joined *= 2
        self.steps = shape.steps
        self.shape = ImageShape(self.joined + 1, -(-shape.steps // self.joined), columns)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, features, steps)`` to ``(n, channels, height, width)``; channels last."""
        if inputs.shape[2] > self.steps:
            raise ValueError(
                f"An input has {inputs.shape[2]} steps, and the network is for up to {self.steps}: cut it."
            )
        inputs = padded(inputs, self.shape.height * self.joined)
        rows = inputs.unflatten(2, (self.shape.height, self.joined)).transpose(1, 2)  # (n, height, features, joined)
        within = rows[:, :, -1:].mean(3, keepdim=True).expand(-1, -1, self.shape.width, -1)
        return torch.cat([rows[:, :, :-1], within], 3).permute(0, 3, 1, 2)
