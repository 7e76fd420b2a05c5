"""The plain network that an architecture of the layered space describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.child_network import ChildNetwork, norm_tensors
from lit_metanas.spaces.operations import ACTIVATIONS, POOLS


class Block(NamedTuple):
    """One block of an architecture: convolution ``kernel`` and ``width``, then what follows."""

    kernel: int
    width: int
    dropout: float
    norm: str
    skip: str
    activation: str
    pool: str


def sizes(height: int, width: int, blocks: int, *, up: bool = False) -> list[tuple[int, int]]:
    """Height and width before each block and after the last: halved, perhaps rounded up, while larger than one."""
    result = [(height, width)]
    for _ in range(blocks):
        if min(height, width) > 1:
            height, width = (height + up) // 2, (width + up) // 2
        result.append((height, width))
    return result


def pool_of(label: str, *, up: bool) -> nn.Module:
    """Halves height and width; the last row and column of an odd number are pooled by themselves, or left out."""
    return POOLS[label](2, ceil_mode=up)


class ChildBlock(nn.Module):
    """Convolution, normalisation, residual sum, activation, pooling and dropout of one block."""

    def __init__(self, block: Block, *, channels: int, pooled: bool, up: bool) -> None:
        super().__init__()
        affine = block.norm == "none"
        self.convolution = nn.Conv2d(channels, block.width, block.kernel, padding=block.kernel // 2, bias=affine)
        self.norm = _norm(block)
        self.projection: nn.Sequential | None = None
        if block.skip == "residual":
            self.projection = nn.Sequential(nn.Conv2d(channels, block.width, 1, bias=affine), _norm(block))
        self.activation = ACTIVATIONS[block.activation]()
        self.pool = pool_of(block.pool, up=up) if pooled else nn.Identity()
        self.dropout = nn.Dropout2d(block.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, block.width, height / 2, width / 2)``."""
        outputs = self.norm(self.convolution(inputs))
        if self.projection is not None:
            outputs = outputs + self.projection(inputs)
        return self.dropout(self.pool(self.activation(outputs)))


class Normed(NamedTuple):
    """A convolution and its norm, under their names in the supernet; without a norm it has a bias, the shift."""

    convolution: nn.Module
    norm: nn.Module
    kernel_key: str
    norm_key: str

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics under the supernet's names."""
        assert isinstance(self.convolution, nn.Conv2d)
        own = {self.kernel_key: self.convolution.weight}
        if self.convolution.bias is None:
            return own | norm_tensors(self.norm_key, self.norm)
        bias = self.convolution.bias
        # The scale went into the kernel when it was inherited.
        return own | {f"{self.norm_key}.scale": torch.ones_like(bias), f"{self.norm_key}.shift": bias}


class LayeredChild(ChildNetwork):
    """Blocks, a readout of averages or of the ``flat`` map, and a linear classifier; sizes may be rounded ``up``."""

    def __init__(
        self, blocks: Sequence[Block], *, shape: Shape, way: int, flat: bool = False, up: bool = False
    ) -> None:
        super().__init__()
        channels, height, width = image_shape(shape)
        self.blocks = nn.ModuleList()
        self.flops = 0
        places = sizes(height, width, len(blocks), up=up)
        for block, before, after in zip(blocks, places, places[1:], strict=False):
            self.blocks.append(ChildBlock(block, channels=channels, pooled=before != after, up=up))
            taps = block.kernel**2 + (block.skip == "residual")
            self.flops += before[0] * before[1] * channels * block.width * taps
            channels = block.width
        self.flat = flat
        self.features = channels
        if flat:
            height, width = places[-1]
            self.features *= height * width
        self.head = nn.Linear(self.features, way)
        self.flops += self.features * way

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        for block in self.blocks:
            inputs = block(inputs)
        if self.flat:
            return inputs.flatten(1)
        return inputs.mean((2, 3))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """See ``ChildNetwork``."""
        found = self._copy(weights)
        for one in self._normed():
            assert isinstance(one.convolution, nn.Conv2d)
            if one.convolution.bias is not None:
                one.convolution.weight.mul_(found[f"{one.norm_key}.scale"][:, None, None, None])

    def _tensors(self) -> dict[str, Tensor]:
        return {name: tensor for one in self._normed() for name, tensor in one.tensors().items()}

    def _normed(self) -> Iterator[Normed]:
        for place, block in enumerate(self.blocks):
            assert isinstance(block, ChildBlock)
            prefix, size = f"layers.{place}", block.convolution.kernel_size[0]
            yield Normed(block.convolution, block.norm, f"{prefix}.kernels.{size}", prefix)
            if block.projection is not None:
                convolution, norm = block.projection
                yield Normed(convolution, norm, f"{prefix}.projection", f"{prefix}.skip")


def _norm(block: Block) -> nn.Module:
    match block.norm:
        case "batch":
            return nn.BatchNorm2d(block.width)
        case "layer":
            return nn.GroupNorm(1, block.width)
        case _:
            return nn.Identity()
