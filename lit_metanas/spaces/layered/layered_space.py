"""The layered search space, a stack of convolution blocks with choices in each or one choice for all; its children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import (
    Architecture,
    Choice,
    check_dropouts,
    check_known,
    check_positive,
    labels_of,
    layer_prefix,
    restrict,
)
from lit_metanas.spaces.layered.layered_supernet import LayeredSupernet, Mix, pool_of, sizes
from lit_metanas.spaces.operations import ACTIVATIONS, MAP_READOUTS, NORMS, POOLS, ROUNDINGS, SKIPS
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import ChildNetwork, NetworkCost, norm_tensors


class Block(NamedTuple):
    """One block of an architecture: convolution ``kernel`` and ``width``, then what follows."""

    kernel: int
    width: int
    dropout: float
    norm: str
    skip: str
    activation: str
    pool: str


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


class LayeredSpace(SearchSpace):
    """Blocks of convolution, normalisation, activation, pooling and dropout, and what reads the last map.

    With the default arguments and ``shared`` the space has 3 * 2 * 3 * 3 = 54 architectures. A block halves the
    image as long as it is larger than one pixel. A ``residual`` skip adds a normalised 1x1 convolution of the
    block's input before the activation.

    It is not written as a ``body``: its supernet merges kernels and masks widths for a whole block at once, under one
    norm with one scale and shift, and the names of its parameters are those of earlier checkpoints.

    Args:
        kernels: sizes of the convolution, odd.
        pools: ``max``, ``avg``.
        activations: names of activations, such as ``ReLU``, ``Sigmoid``, ``Tanh``.
        dropouts: probabilities that a channel is dropped at the end of a block (Tompson et al. 2015).
        depths: numbers of blocks.
        widths: numbers of channels.
        skips: ``none``, ``residual``.
        norms: ``batch``, ``layer``, ``none``.
        readouts: what the features are: the ``average`` of each channel, or all values of the last map (``flat``). One
            choice for the network, which the space lacks where there is no other than the average.
        roundings: how an odd height or width is halved: ``down`` leaves the last row or column out, ``up`` pools it by
            itself. One choice for the network, which the space lacks where there is no other than ``down``.
        shared: one choice for the whole network instead of one a block; depth is always one choice.
        fixed: labels that single choices are restricted to, for instance ``{layer1.width: ["16"]}``.
        mix: how a soft mixture of kernels is computed: ``merged`` into one convolution before the normalisation,
            or each candidate ``normalised`` and then mixed.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.LayeredSpace(kernels=(3, 5), depths=(3, 4), widths=(16,), shared=True)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        kernels: Sequence[int] = (3, 5, 7),
        pools: Sequence[str] = ("max", "avg"),
        activations: Sequence[str] = ("ReLU", "Sigmoid", "Tanh"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        depths: Sequence[int] = (4,),
        widths: Sequence[int] = (32,),
        skips: Sequence[str] = ("none",),
        norms: Sequence[str] = ("batch",),
        readouts: Sequence[str] = ("average",),
        roundings: Sequence[str] = ("down",),
        shared: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
        mix: Mix = "merged",
    ) -> None:
        for size in kernels:
            if size < 1 or size % 2 == 0:
                raise ValueError(f"{self.name}: kernel size {size} is not odd and positive: use 1, 3, 5, 7, …")
        check_dropouts(self.name, dropouts)
        least = {"the least depth": min(depths, default=1), "the least width": min(widths, default=1)}
        check_positive(self.name, least)
        check_known(self.name, "mix", (mix,), get_args(Mix))
        self.shared = shared
        self.mix: Mix = mix
        self.questions: dict[str, tuple[str, ...]] = {
            "kernel": tuple(map(str, kernels)),
            "width": tuple(map(str, widths)),
            "norm": check_known(self.name, "norms", norms, NORMS),
            "skip": check_known(self.name, "skips", skips, SKIPS),
            "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
            "pool": check_known(self.name, "pools", pools, POOLS),
            "dropout": tuple(f"{rate:g}" for rate in dropouts),
        }
        self.depths = tuple(map(str, sorted(depths)))
        self.readouts = check_known(self.name, "readouts", readouts, MAP_READOUTS)
        self.roundings = check_known(self.name, "roundings", roundings, ROUNDINGS)
        self.choices = restrict(self._open_choices(), fixed or {}, self.name)

    @classmethod
    def layer_questions(cls, place: int) -> tuple[str, ...]:
        """See ``ChoiceSpace.layer_questions``."""
        return "kernel", "width", "norm", "skip", "activation", "pool", "rounding", "dropout"

    def supernet(self, shape: Shape) -> LayeredSupernet:
        """Build the network that holds all candidates; its soft mixtures follow ``mix``."""
        return LayeredSupernet(shape, labels_of(self.choices), shared=self.shared, mix=self.mix)

    def build(self, architecture: Architecture, shape: Shape, way: int) -> LayeredChild:
        """The child with newly initialised weights."""
        full = self.canonical(architecture)
        flat, up = full.get("readout") == "flat", full.get("rounding") == "up"
        blocks = []
        for place in range(1, int(full["depth"]) + 1):
            own = {group: full[layer_prefix(place, self.shared) + group] for group in self.questions}
            kernel, width, dropout = int(own.pop("kernel")), int(own.pop("width")), float(own.pop("dropout"))
            blocks.append(Block(kernel, width, dropout, **own))
        return LayeredChild(blocks, shape=shape, way=way, flat=flat, up=up)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child: convolutions and the classifier."""
        with torch.device("meta"):
            child = self.build(architecture, shape, way)
        return NetworkCost(sum(p.numel() for p in child.parameters()), child.flops)

    def _open_choices(self) -> list[Choice]:
        choices = [Choice("depth", self.depths, "depth")]
        if self.readouts != ("average",):
            choices.append(Choice("readout", self.readouts, "readout"))
        if self.roundings != ("down",):
            choices.append(Choice("rounding", self.roundings, "rounding"))
        if self.shared:
            return choices + [Choice(group, labels, group) for group, labels in self.questions.items()]
        for place in range(1, int(self.depths[-1]) + 1):
            deep = frozenset(depth for depth in self.depths if int(depth) >= place)
            active = (("depth", deep),) * (len(deep) < len(self.depths))
            prefix = layer_prefix(place, self.shared)
            choices += [Choice(prefix + group, labels, group, active) for group, labels in self.questions.items()]
        return choices
