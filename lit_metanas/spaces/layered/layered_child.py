"""The plain network that an architecture of the layered space describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.child_network import ChildNetwork, copy_leading
from lit_metanas.spaces.operations import ACTIVATIONS, POOLS


@dataclass(frozen=True)
class Block:
    """One block of an architecture: convolution ``kernel`` and ``width``, then what follows."""

    kernel: int
    width: int
    norm: str
    skip: str
    activation: str
    pool: str
    dropout: float


def sizes(height: int, width: int, blocks: int, *, up: bool = False) -> list[tuple[int, int]]:
    """Height and width at the input of each block, and after the last: halved while larger than one pixel."""
    result = [(height, width)]
    for _ in range(blocks):
        height, width = result[-1]
        result.append(((height + up) // 2, (width + up) // 2) if min(height, width) > 1 else (height, width))
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
        outputs = self.dropout(self.pool(self.activation(outputs)))
        assert isinstance(outputs, Tensor)
        return outputs


class LayeredChild(ChildNetwork):
    """Blocks, a readout and a linear classifier."""

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
        last = places[len(blocks)]
        self.flat = flat
        self.features = channels * last[0] * last[1] if flat else channels
        self.head = nn.Linear(self.features, way)
        self.flops += self.features * way
        self._plan = tuple(blocks)

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        for block in self.blocks:
            inputs = block(inputs)
        return inputs.flatten(1) if self.flat else inputs.mean((2, 3))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the parameters, and where present the statistics, of a supernet of the layered space."""
        for place, (module, block) in enumerate(zip(self.blocks, self._plan, strict=True)):
            assert isinstance(module, ChildBlock)
            prefix = f"layers.{place}"
            _inherit_normed(module.convolution, module.norm, weights, f"{prefix}.kernels.{block.kernel}", prefix)
            if module.projection is not None:
                convolution, norm = module.projection[0], module.projection[1]
                _inherit_normed(convolution, norm, weights, f"{prefix}.projection", f"{prefix}.skip")
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""
        weights: dict[str, Tensor] = {}
        for place, (module, block) in enumerate(zip(self.blocks, self._plan, strict=True)):
            assert isinstance(module, ChildBlock)
            prefix = f"layers.{place}"
            weights |= _normed_weights(module.convolution, module.norm, f"{prefix}.kernels.{block.kernel}", prefix)
            if module.projection is not None:
                convolution, norm = module.projection[0], module.projection[1]
                weights |= _normed_weights(convolution, norm, f"{prefix}.projection", f"{prefix}.skip")
        return weights


def _norm(block: Block) -> nn.Module:
    if block.norm == "batch":
        return nn.BatchNorm2d(block.width)
    return nn.GroupNorm(1, block.width) if block.norm == "layer" else nn.Identity()


def _inherit_normed(
    convolution: nn.Module, norm: nn.Module, weights: Mapping[str, Tensor], kernel_key: str, norm_key: str
) -> None:
    assert isinstance(convolution, nn.Conv2d)
    missing = [key for key in (kernel_key, f"{norm_key}.scale", f"{norm_key}.shift") if key not in weights]
    if missing:
        raise ValueError(f"The weights lack '{missing[0]}': they come from another space.")
    out, into = convolution.weight.shape[:2]
    kernel = weights[kernel_key][:out, :into]
    if kernel.shape != convolution.weight.shape:
        raise ValueError(
            f"The weights hold '{kernel_key}' {tuple(kernel.shape)}, not {tuple(convolution.weight.shape)}: "
            "they come from another space."
        )
    scale, shift = weights[f"{norm_key}.scale"][:out], weights[f"{norm_key}.shift"][:out]
    if isinstance(norm, nn.Identity):
        assert convolution.bias is not None
        convolution.weight.copy_(kernel * scale[:, None, None, None])
        convolution.bias.copy_(shift)
        return
    convolution.weight.copy_(kernel)
    assert isinstance(norm, nn.BatchNorm2d | nn.GroupNorm)
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    if isinstance(norm, nn.BatchNorm2d) and f"{norm_key}.mean" in weights:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        copy_leading(weights[f"{norm_key}.mean"], norm.running_mean)
        copy_leading(weights[f"{norm_key}.var"], norm.running_var)


def _normed_weights(convolution: nn.Module, norm: nn.Module, kernel_key: str, norm_key: str) -> dict[str, Tensor]:
    assert isinstance(convolution, nn.Conv2d)
    weights = {kernel_key: convolution.weight}
    if isinstance(norm, nn.Identity):
        assert convolution.bias is not None
        # The scale went into the kernel when it was inherited.
        return weights | {f"{norm_key}.scale": torch.ones_like(convolution.bias), f"{norm_key}.shift": convolution.bias}
    assert isinstance(norm, nn.BatchNorm2d | nn.GroupNorm)
    weights |= {f"{norm_key}.scale": norm.weight, f"{norm_key}.shift": norm.bias}
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weights |= {f"{norm_key}.mean": norm.running_mean, f"{norm_key}.var": norm.running_var}
    return weights
