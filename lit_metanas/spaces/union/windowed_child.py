"""A network that takes a long series window by window, and gives the mean of their scores."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.spaces.child_network import ChildNetwork

WINDOWS_AT_ONCE = 256
"""Windows of a batch that are computed together: those of hours of sound would not fit into memory."""


def window_of(shape: SeriesShape, most: int) -> SeriesShape:
    """The shape of a window: a series is divided into as few as there can be, all of the same length."""
    windows = -(-shape.steps // most)
    return SeriesShape(shape.features, -(-shape.steps // windows))


class WindowedChild(ChildNetwork):
    """A network for windows, which takes whole series."""

    # While it is trained it takes one window of each series, drawn by PyTorch's global generator. Otherwise its
    # features are the mean over all windows that are not empty; since a linear layer is behind them, so are its scores.
    # Its FLOPs are those of a window.

    def __init__(self, window: ChildNetwork, steps: int) -> None:
        super().__init__()
        self.window = window
        self.steps = steps
        self.features, self.flops = window.features, window.flops

    @property
    def head(self) -> nn.Linear:  # type: ignore[override]
        """The classifier of each window."""
        return self.window.head

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``, of inputs ``(n, values, steps)`` of any length."""
        windows, sounding = divided(inputs, self.steps)
        if self.training:
            drawn = (torch.rand(len(inputs), device=inputs.device) * sounding.sum(1)).long()
            return self.window.embed(windows[torch.arange(len(inputs), device=inputs.device), drawn])
        alone = windows.flatten(0, 1)
        if torch.compiler.is_compiling():  # an exported program has no loop over batches of any size
            features = self.window.embed(alone)
        else:
            features = torch.cat([self.window.embed(some) for some in alone.split(WINDOWS_AT_ONCE)])
        weights = (sounding / sounding.sum(1, keepdim=True)).to(features)
        return torch.einsum("nw,nwf->nf", weights, features.unflatten(0, (-1, windows.shape[1])))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """What the network for windows inherits."""
        self.window.inherit(weights)

    def _tensors(self) -> dict[str, Tensor]:
        return self.window._tensors()


def divided(inputs: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The windows of each series, and which of them are not empty; the first never is."""
    windows = -(-inputs.shape[-1] // steps)
    whole = F.pad(inputs, (0, windows * steps - inputs.shape[-1]))
    sounding = step_mask(whole).unflatten(1, (windows, steps)).any(2)
    first = torch.arange(windows, device=inputs.device) == 0
    return whole.unflatten(2, (windows, steps)).movedim(2, 1), sounding | first
