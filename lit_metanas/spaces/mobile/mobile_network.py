"""The network of the mobile space, of all candidates or of one: inverted residual blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.forward_pass import Number, OpenChoice, computed_value, largest
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mixture import computed_size, leading, total
from lit_metanas.spaces.mobile.mobile_layout import MobileStage, block_names


def as_taps(kernel: Tensor) -> Tensor:
    """Kernels ``(channels, 1, size, size)`` as ``(channels, size * size)``, with a smaller kernel's weights first."""
    return kernel.flatten(1)[:, _order(kernel.shape[-1])]


def as_kernel(taps: Tensor) -> Tensor:
    """The inverse of ``as_taps``."""
    size = isqrt(taps.shape[1])
    return taps[:, _order(size).argsort()].view(-1, 1, size, size)


class Taps(nn.Module):
    """A depthwise convolution of an open size: small kernels are the centres of the large one, and summed with it."""

    def __init__(self, channels: Number, kernel: OpenChoice, stride: int) -> None:
        super().__init__()
        self.channels, self.kernel, self.stride = channels, kernel, stride
        self.sizes = tuple(int(label) for label in kernel.labels)
        self.weight = nn.Parameter(torch.randn(largest(channels), max(self.sizes) ** 2) * 2**0.5 / max(self.sizes))
        for size in self.sizes:
            self.register_buffer(f"places{size}", _order(size).argsort(), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, channels, height / stride, width / stride)``."""
        gate, channels = self.kernel.gate(), inputs.shape[1]
        size = computed_size(gate, self.sizes)
        taps = self.weight[:channels, : size**2]
        weights = leading((gate, [size**2 for size in self.sizes]))
        if weights is not None:
            taps = taps * weights
        kernel = taps[:, getattr(self, f"places{size}")].view(-1, 1, size, size)
        return F.conv2d(inputs, kernel, None, self.stride, size // 2, groups=channels)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        size = computed_size(self.kernel.gate(), self.sizes)
        whole = largest(self.channels) * max(self.sizes) ** 2
        return count.whole(self) * computed_value(self.channels) * size**2 // whole


class InvertedResidual(nn.Module):
    """One block: 1x1 expansion, depthwise convolution, 1x1 projection without an activation."""

    def __init__(
        self,
        build: Builder,
        names: Mapping[str, str],
        stage: MobileStage,
        *,
        channels: Number,
        width: Number,
        stride: int,
    ) -> None:
        super().__init__()
        kernel = build.question(names["kernel"], stage.kernels)
        expansion = build.number(names["expansion"], stage.expansions)
        hidden = channels * expansion
        self.expand = convolution(build, channels, hidden) if expansion > 1 else None
        depthwise: nn.Module
        if build.mixed:
            depthwise = Taps(hidden, kernel, stride)
        else:
            depthwise = build.conv(hidden, hidden, int(kernel.labels[0]), stride=stride, depthwise=True)
        self.depthwise = nn.Sequential(OrderedDict(convolution=depthwise, norm=build.norm(hidden, weighed=False)))
        # Not before the depthwise convolution, whose batch-norm would cancel the weights of channels.
        self.weigh_hidden = build.channels(hidden)
        self.project = convolution(build, hidden, width)
        self.weigh = build.channels(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        if self.expand is not None:
            inputs = F.relu6(self.expand(inputs))
        return self.weigh(self.project(self.weigh_hidden(F.relu6(self.depthwise(inputs)))))


class Stage(nn.ModuleDict):
    """The blocks of a stage by their places, from 1, without those always skipped; the first is no residual."""

    def __init__(self, build: Builder, number: int, stage: MobileStage, *, channels: Number, width: Number) -> None:
        super().__init__()
        self.depth = build.question(f"stage{number}.depth", sorted(stage.depths))
        self.depths = [int(label) for label in self.depth.labels]
        self.skips: dict[int, OpenChoice] = {}
        stride = stage.stride
        for place in range(1, max(self.depths) + 1):
            names = block_names(number, place)
            if place > 1:
                channels, stride = width, 1
                self.skips[place] = build.question(names["skip"], stage.skips)
            if place == 1 or "none" in self.skips[place].labels:
                block = InvertedResidual(build, names, stage, channels=channels, width=width, stride=stride)
                self[str(place)] = block

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        gate = self.depth.gate()
        weights = leading((gate, self.depths))
        outputs: Tensor = self["1"](inputs)
        joined = None if weights is None else weights[0] * outputs
        for place in range(2, computed_size(gate, self.depths) + 1):
            added = self._branch(place, outputs)
            if added is not None:
                outputs = outputs + added
                if weights is not None and joined is not None:
                    joined = joined + weights[place - 1] * added
        return outputs if joined is None else joined

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        places = range(1, computed_size(self.depth.gate(), self.depths) + 1)
        wanted = [str(place) for place in places if place == 1 or "none" in self.skips[place].computed_labels()]
        return sum(count.computed(self[place]) for place in wanted)

    def _branch(self, place: int, inputs: Tensor) -> Tensor | None:
        """What a block adds to its input; None where it is skipped."""
        skip = self.skips[place]
        # An identity adds nothing, and ``none`` is a block that is not skipped.
        labels = [{"identity": "none"}.get(label, "block") for label in skip.labels]
        return total(skip.gate(), labels, lambda label: self[str(place)](inputs))


class MobileNetwork(nn.Module):
    """Stem, stages and last convolution."""

    def __init__(
        self,
        build: Builder,
        stages: Sequence[MobileStage],
        widths: Sequence[Mapping[str, int]],
        *,
        channels: int,
        stem: int,
        stem_stride: int,
        last: int | None,
    ) -> None:
        super().__init__()
        self.stem = convolution(build, channels, stem, size=3, stride=stem_stride)
        self.stages = nn.ModuleList()
        before: Number = stem
        for number, (stage, numbers) in enumerate(zip(stages, widths, strict=True), start=1):
            width = build.number(f"stage{number}.width", numbers)
            self.stages.append(Stage(build, number, stage, channels=before, width=width))
            before = width
        self.last = None if last is None else convolution(build, before, last)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, features, …)``."""
        outputs = F.relu6(self.stem(inputs))
        for stage in self.stages:
            outputs = stage(outputs)
        if self.last is not None:
            outputs = F.relu6(self.last(outputs))
        return outputs


class MobileChild(BodyChild):
    """The child of a mobile network, whose depthwise kernels the supernet holds as taps."""

    def load_torchvision(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take over the weights of torchvision's ``mobilenet_v2``, which must have the same stages and classes."""
        own = {
            f"{name}.{key}": tensor
            for name, module in self._torchvision_modules().items()
            for key, tensor in module.state_dict().items()
        }
        if own.keys() != state_dict.keys() or any(own[name].shape != state_dict[name].shape for name in own):
            raise ValueError("The weights are of another network: give those of a mobilenet_v2 of this child's stages.")
        for name, tensor in own.items():
            tensor.copy_(state_dict[name])

    def _torchvision_modules(self) -> dict[str, nn.Module]:
        """The layers that hold weights by their names in torchvision's network."""
        network = self.body
        assert isinstance(network, MobileNetwork)
        blocks = [block for block in network.modules() if isinstance(block, InvertedResidual)]
        modules: dict[str, nn.Module] = {"classifier.1": self.head}
        for place, layer in ((0, network.stem), (len(blocks) + 1, network.last)):
            modules |= {f"features.{place}.{number}": part for number, part in enumerate(layer or ())}
        for place, block in enumerate(blocks, start=1):
            wide = [layer for layer in (block.expand, block.depthwise) if layer is not None]
            for number, layer in enumerate(wide):
                modules |= {f"features.{place}.conv.{number}.{i}": part for i, part in enumerate(layer)}
            modules |= {f"features.{place}.conv.{len(wide) + i}": part for i, part in enumerate(block.project)}
        return modules

    def _tensors(self) -> dict[str, Tensor]:
        own = self._own()
        return own | {name: as_taps(own[name]) for name in own if name.endswith("depthwise.convolution.weight")}

    def _as_own(self, value: Tensor) -> Tensor:
        return as_kernel(value) if value.dim() == 2 else value


def convolution(build: Builder, channels: Number, width: Number, *, size: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution and batch-norm; the channels of an open width are not weighed."""
    layer = build.conv(channels, width, size, stride=stride)
    return nn.Sequential(OrderedDict(convolution=layer, norm=build.norm(width, weighed=False)))


@cache
def _order(size: int) -> Tensor:
    """Flat places of a kernel's weights by their distance from the centre, shape ``(size * size,)``."""
    reach = range(-(size // 2), size // 2 + 1)
    offsets = sorted(((row, column) for row in reach for column in reach), key=lambda at: (max(map(abs, at)), at))
    return torch.tensor([(row + size // 2) * size + column + size // 2 for row, column in offsets], device="cpu")
