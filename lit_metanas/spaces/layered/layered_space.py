"""The layered search space, a stack of convolution blocks with choices in each or one choice for all; its children."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import get_args

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import (
    Architecture,
    check_dropouts,
    check_known,
    check_positive,
    labels_of,
    layer_prefix,
    restrict,
)
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.layered.layered_supernet import LayeredSupernet, Mix, sizes
from lit_metanas.spaces.operations import ACTIVATIONS, MAP_READOUTS, NORMS, POOLS, ROUNDINGS, SKIPS, halve
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import ChildNetwork, NetworkCost, norm_tensors


class ChildBlock(nn.Module):
    """Convolution, normalisation, residual sum, activation, pooling and dropout of one block, by its labels."""

    def __init__(self, labels: Mapping[str, str], *, channels: int, pooled: bool, up: bool) -> None:
        super().__init__()
        self.width, kernel, affine = int(labels["width"]), int(labels["kernel"]), labels["norm"] == "none"
        self.convolution = nn.Conv2d(channels, self.width, kernel, padding=kernel // 2, bias=affine)
        self.norm = _norm(labels["norm"], self.width)
        self.taps = kernel**2
        self.projection: nn.Sequential | None = None
        if labels["skip"] == "residual":
            convolution = nn.Conv2d(channels, self.width, 1, bias=affine)
            self.projection = nn.Sequential(convolution, _norm(labels["norm"], self.width))
            self.taps += 1
        self.activation = ACTIVATIONS[labels["activation"]]()
        self.pool = labels["pool"] if pooled else ""  # empty where the image is as small as can be
        self.up = up
        self.dropout = nn.Dropout2d(float(labels["dropout"]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs = self.norm(self.convolution(inputs))
        if self.projection is not None:
            outputs = outputs + self.projection(inputs)
        outputs = self.activation(outputs)
        if self.pool:
            outputs = halve(self.pool, outputs, up=self.up)
        return self.dropout(outputs)


Normed = tuple[nn.Conv2d, nn.Module, str, str]
"""A convolution and its norm, and their names in the supernet; without a norm it has a bias, the shift."""


class LayeredChild(ChildNetwork):
    """Blocks, a readout of averages or of the ``flat`` map, and a linear classifier; sizes may be rounded ``up``."""

    def __init__(
        self, blocks: Sequence[Mapping[str, str]], *, shape: Shape, way: int, flat: bool = False, up: bool = False
    ) -> None:
        super().__init__()
        channels, height, width = image_shape(shape)
        self.blocks = nn.ModuleList()
        self.flops = 0
        places = sizes(height, width, len(blocks), up=up)
        for labels, before, after in zip(blocks, places, places[1:], strict=False):
            block = ChildBlock(labels, channels=channels, pooled=before != after, up=up)
            self.blocks.append(block)
            self.flops += before[0] * before[1] * channels * block.width * block.taps
            channels = block.width
        self.flat = flat
        self.features = channels
        if flat:
            self.features *= prod(places[-1])
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
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""
        found = self._copy(weights, sliced=True)
        for convolution, _, _, norm_key in self._normed():
            if convolution.bias is not None:
                convolution.weight.mul_(found[f"{norm_key}.scale"][:, None, None, None])

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for convolution, norm, kernel_key, norm_key in self._normed():
            tensors |= {kernel_key: convolution.weight, **norm_tensors(norm_key, norm)}
            if (bias := convolution.bias) is not None:
                # The scale went into the kernel when it was inherited.
                tensors |= {f"{norm_key}.scale": torch.ones_like(bias), f"{norm_key}.shift": bias}
        return tensors

    def _normed(self) -> Iterator[Normed]:
        for place, block in enumerate(self.blocks):
            assert isinstance(block, ChildBlock)
            prefix, size = f"layers.{place}", block.convolution.kernel_size[0]
            yield block.convolution, block.norm, f"{prefix}.kernels.{size}", prefix
            if block.projection is not None:
                convolution, norm = block.projection
                assert isinstance(convolution, nn.Conv2d)
                yield convolution, norm, f"{prefix}.projection", f"{prefix}.skip"


def _norm(label: str, width: int) -> nn.Module:
    makers: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "layer": partial(nn.GroupNorm, 1)}
    return makers.get(label, nn.Identity)(width)


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

    layer_questions = ("kernel", "width", "norm", "skip", "activation", "pool", "rounding", "dropout")

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
        numbers = {"the least depth": min(depths, default=1), "the least width": min(widths, default=1)}
        check_positive(self.name, numbers)
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
        build = Builder()
        build.question("depth", self.depths)
        if self.readouts != ("average",):
            build.question("readout", self.readouts)
        if self.roundings != ("down",):
            build.question("rounding", self.roundings)
        for place in range(1, int(self.depths[-1]) + 1):
            with build.where("depth", [depth for depth in self.depths if int(depth) >= place]):
                for group, labels in self.questions.items():
                    build.question(layer_prefix(place, shared) + group, labels)
        self.choices = restrict(tuple(build.choices.values()), fixed or {}, self.name)

    def supernet(self, shape: Shape) -> LayeredSupernet:
        """Build the network that holds all candidates; its soft mixtures follow ``mix``."""
        return LayeredSupernet(shape, labels_of(self.choices), shared=self.shared, mix=self.mix)

    def build(self, architecture: Architecture, shape: Shape, way: int) -> LayeredChild:
        """The child with newly initialised weights."""
        full = self.canonical(architecture)
        flat, up = full.get("readout") == "flat", full.get("rounding") == "up"
        prefixes = [layer_prefix(place, self.shared) for place in range(1, int(full["depth"]) + 1)]
        blocks = [{group: full[prefix + group] for group in self.questions} for prefix in prefixes]
        return LayeredChild(blocks, shape=shape, way=way, flat=flat, up=up)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child: convolutions and the classifier."""
        with torch.device("meta"):
            return self._counted(architecture, shape, way)
