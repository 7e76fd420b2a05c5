"""Blocks of a convolution, a batch-norm, an activation, a pooling and dropout; three things of each are open."""

from functools import partial

from torch import nn

import lit_metanas as lm


class Blocks(lm.SearchSpace):
    """A stack of blocks.

    Args:
        blocks: how many.
        width: channels of each.
    """

    def __init__(self, blocks: int = 3, width: int = 16) -> None:
        self.blocks, self.width = blocks, width

    def body(self, shape: lm.Shape, build: lm.Builder) -> nn.Module:
        """The blocks, one after the other."""
        layers: list[nn.Module] = []
        channels = shape[0]
        for name in (f"block{number}" for number in range(1, self.blocks + 1)):
            kernels = {str(size): partial(build.conv, channels, self.width, size) for size in (3, 5)}
            layers.append(build.choice(f"{name}.kernel", kernels, norm=self.width))
            layers.append(build.choice(f"{name}.activation", {"relu": nn.ReLU, "tanh": nn.Tanh}))
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            layers.append(build.dropout(f"{name}.dropout", (0.0, 0.2), self.width))
            channels = self.width
        return nn.Sequential(*layers)
