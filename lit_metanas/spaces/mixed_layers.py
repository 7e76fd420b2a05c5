"""Layers of a supernet that compute a mixture of candidates.

They are ordinary modules of one argument, so that any module may hold them: gates, noise and statistics come from the
forward pass that they are called in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import reduce
from math import prod
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.mixture import (
    Gate,
    Number,
    combine,
    computed_value,
    current,
    gate_of,
    largest,
    setting,
    sum_of,
    times,
    weights_of,
)
from lit_metanas.spaces.operations import (
    EPSILON,
    batch_normalise,
    dropout_scale,
    layer_normalise,
    leading_part,
    merged_kernel,
    padded,
)


class CountedFlops(Protocol):
    """Multiply-adds of the layers of a supernet for one input."""

    def whole(self, layer: nn.Module) -> int:
        """Where all candidates are computed."""

    def computed(self, layer: nn.Module) -> int:
        """Under the gates of the current forward pass."""


@runtime_checkable
class MixedLayer(Protocol):
    """A layer whose cost depends on gates."""

    def computed_flops(self, count: CountedFlops) -> int:
        """Multiply-adds for one input under the gates of the current forward pass."""


_PART: ContextVar[str] = ContextVar("what the names of statistics begin with", default="")


def statistics_of(part: str) -> AbstractContextManager[None]:
    """Within, names of batch-norm statistics begin with this part, for which layers are computed by themselves."""
    return setting(_PART, part)


class MixedNorm(nn.Module):
    """Batch-norm of a supernet: it keeps no statistics. Fewer channels than ``width`` are the leading ones."""

    def __init__(self, width: Number, *, affine: bool, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.key = ""  # names the statistics; see ``name_layers``
        self.width, self.epsilon = width, epsilon
        self.scale: nn.Parameter | None = None
        self.shift: nn.Parameter | None = None
        if affine:
            self.scale = nn.Parameter(torch.ones(largest(width)))
            self.shift = nn.Parameter(torch.zeros(largest(width)))

    def forward(self, inputs: Tensor, label: str = "", weight: Tensor | None = None) -> Tensor:
        """Normalise each channel of ``(n, channels, ...)``, times a weight; each label has statistics of its own."""
        _, _, given, record = current()
        scale, shift = self._affine(inputs.shape[1], weight)
        key = _PART.get() + (f"{self.key}.{label}" if label else self.key)
        outputs = batch_normalise(inputs, scale, shift, key=key, statistics=given, record=record, epsilon=self.epsilon)
        return weigh(outputs, self.width)  # behind the norm, which would cancel the weights otherwise

    def _affine(self, channels: int, weight: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        # In scale and shift a weight costs no pass, neither here nor in the gradient.
        if self.scale is None or self.shift is None:
            return (None if weight is None else weight.expand(channels).contiguous()), None
        scale, shift = leading_part(self.scale, channels), leading_part(self.shift, channels)
        return times(scale, weight), times(shift, weight)


class SlicedLayerNorm(nn.LayerNorm):
    """Layer normalisation of as many channels as are computed, each counted as much as it is weighed."""

    def __init__(self, width: Number) -> None:
        super().__init__(largest(width))
        self.width = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels)`` or ``(n, channels, height, width)``, unchanged: an example as a whole."""
        scale, shift = (leading_part(own, inputs.shape[1]) for own in (self.weight, self.bias))
        weights = weights_of(self.width)
        if inputs.dim() > 2:
            return layer_normalise(inputs, scale, shift, weights)
        if weights is None:
            return F.layer_norm(inputs, scale.shape, scale, shift, self.eps)
        return layer_normalise(inputs[:, :, None, None], scale, shift, weights).flatten(1)


class MixedChannels(nn.Module):
    """Weighs the channels of an open width, where those of a norm are to be weighed further on."""

    def __init__(self, width: Number) -> None:
        super().__init__()
        self.width = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged."""
        return weigh(inputs, self.width)


class SlicedConv2d(nn.Conv2d):
    """A convolution whose numbers of channels may be open: the leading ones of the largest are computed."""

    def __init__(
        self,
        channels: Number,
        width: Number,
        size: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = False,
    ) -> None:
        before, after = largest(channels), largest(width)
        super().__init__(before, after, size, stride, size // 2, groups=before if depthwise else 1, bias=bias)
        self.channels, self.width = channels, width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        return self.convolve(inputs, *self.kernel(inputs.shape[1]))

    def kernel(self, channels: int) -> tuple[Tensor, Tensor | None]:
        """The leading weights and constants for inputs of so many channels."""
        out, into = computed_value(self.width), min(channels, self.weight.shape[1])
        bias = self.bias
        if bias is not None:
            bias = leading_part(bias, out)
        return leading_part(self.weight, out, into), bias

    def convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with other weights of any odd size."""
        return F.conv2d(
            inputs, weight, bias, self.stride, weight.shape[-1] // 2, groups=inputs.shape[1] // weight.shape[1]
        )

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return self.share(count.whole(self))

    def share(self, flops: int) -> int:
        """The part of some multiply-adds that is for the channels that are computed."""
        numbers = [self.width] if self.groups > 1 else [self.width, self.channels]
        return flops * prod(map(computed_value, numbers)) // prod(map(largest, numbers))


class WeighedLayers(nn.Sequential):
    """Layers one after the other, whose ``forward`` takes the weight that a mixture gives their outputs, too."""


class MixedChoice(nn.Module):
    """A choice among layers, of which None adds nothing: the weighted sum of all, or the one that is sampled."""

    # The gate stands behind the norm, which would cancel it otherwise. Convolutions that differ in nothing but the size
    # of their kernel are summed as one convolution, before the norm: their weights add up to one there.

    def __init__(self, name: str, candidates: Mapping[str, nn.Module | None], norm: nn.Module | None) -> None:
        super().__init__()
        self.name = name
        self.labels = tuple(candidates)
        self.merged = _differ_in_size_alone(list(candidates.values()))
        self.keys = add_candidates(self, candidates)
        self.norm = norm

    def forward(self, inputs: Tensor, factor: Tensor | None = None) -> Tensor | None:
        """The mixture for inputs of shape ``(n, channels, ...)``, times a scalar; None where nothing is left."""
        gate = current().mixture[self.name]
        if gate.index is not None:
            label = self.labels[gate.index]
            if label not in self.keys:
                return None
            factors = [one for one in (gate.factor(), factor) if one is not None]
            weight = reduce(torch.mul, factors) if factors else None
            return self._weighed(getattr(self, self.keys[label]), inputs, weight)
        if self.merged:
            return self._one_convolution(gate, inputs, factor)
        by_label = dict(zip(self.labels, times(gate.weights, factor).unbind(), strict=True))
        # Each candidate is added as it comes, while it is in the processor's cache.
        return sum_of(self._weighed(layer, inputs, by_label[label], label) for label, layer in self.layers())

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        labels = current().mixture[self.name].computed(self.labels)
        layers = dict(self.layers())
        if not self.merged:
            return sum(count.computed(layers[label]) for label in labels if label in layers)
        sizes = {label: layer.kernel_size[0] ** 2 for label, layer in layers.items() if isinstance(layer, SlicedConv2d)}
        first = next(iter(layers.values()))
        assert isinstance(first, SlicedConv2d)
        return first.share(count.whole(self)) * max(sizes[label] for label in labels) // max(sizes.values())

    def layers(self) -> list[tuple[str, nn.Module]]:
        """The candidates that add something, each with its label."""
        return [(label, getattr(self, key)) for label, key in self.keys.items()]

    def _weighed(self, layer: nn.Module, inputs: Tensor, weight: Tensor | None, label: str = "") -> Tensor:
        if self.norm is not None:
            return weighed_outputs(self.norm, layer(inputs), weight, label)
        return weighed_outputs(layer, inputs, weight)

    def _one_convolution(self, gate: Gate, inputs: Tensor, factor: Tensor | None) -> Tensor:
        layers = [layer for _, layer in self.layers() if isinstance(layer, SlicedConv2d)]
        kernels, constants = zip(*(layer.kernel(inputs.shape[1]) for layer in layers), strict=True)
        bias = None
        if constants[0] is not None:
            bias = reduce(torch.add, map(torch.mul, gate.weights.unbind(), constants))
        outputs = layers[0].convolve(inputs, merged_kernel(gate, kernels), bias)
        return weighed_outputs(self.norm, outputs, factor)


_TAKEN = frozenset({"", "name", "labels", "keys", "merged", "norm", "key", *dir(MixedChoice), *vars(nn.Module())})
"""What no layer of a choice can be called, as the module that holds it has another attribute of this name."""


class MixedDropout(nn.Module):
    """Drops whole channels (Tompson et al. 2015); the rates share one draw of noise."""

    def __init__(self, name: str, rates: Sequence[float], width: Number) -> None:
        super().__init__()
        self.key = ""  # names the noise; see ``name_layers``
        self.name = name
        self.rates = tuple(rates)
        self.width = largest(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged; without noise the inputs themselves."""
        noise = current().noise
        if noise is None or not max(self.rates):
            return inputs
        scale = dropout_scale(gate_of(self.name), self.rates, noise[self.key][:, : inputs.shape[1]], inputs.dtype)
        return inputs * scale.view(*scale.shape, *[1] * (inputs.dim() - 2))

    def draw(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)``; nothing where no rate drops channels."""
        if not max(self.rates):
            return {}
        return {self.key: torch.rand(examples, self.width, generator=generator)}


class MixedDepth(nn.ModuleList):
    """Layers one after the other, of which the first few are computed; outputs may be averaged over their pixels."""

    def __init__(self, name: str, layers: Sequence[nn.Module], depths: Sequence[int], averaged: bool) -> None:
        super().__init__(layers)
        self.name = name
        self.depths = tuple(depths)
        self.averaged = averaged

    def forward(self, inputs: Tensor) -> Tensor:
        """The mixture of the outputs at the candidates' depths, for inputs of shape ``(n, channels, ...)``."""
        wanted = self._computed_depths()
        outputs = {}
        for depth, layer in enumerate(list(self)[: max(wanted)], start=1):
            inputs = layer(inputs)
            if depth in wanted:
                outputs[depth] = averages(inputs) if self.averaged else inputs
        if self.averaged:  # fewer features are the leading ones
            features = max(output.shape[1] for output in outputs.values())
            outputs = {depth: padded(output, features) for depth, output in outputs.items()}
        return combine(gate_of(self.name), self.depths, outputs.__getitem__)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(count.computed(layer) for layer in list(self)[: max(self._computed_depths())])

    def _computed_depths(self) -> Sequence[int]:
        return gate_of(self.name).computed(self.depths)


class Sum(nn.ModuleList):
    """The sum of the outputs of some layers, of which one may make nothing; None if none is left."""

    def forward(self, inputs: Tensor) -> Tensor | None:
        """Shape ``(n, channels, ...)`` to that of the layers' outputs."""
        return sum_of([layer(inputs) for layer in self])


def weighed_outputs(layer: nn.Module | None, inputs: Tensor, weight: Tensor | None, label: str = "") -> Tensor:
    """A layer's outputs (without one the inputs) times a scalar, if any; some layers do it without a pass over them."""
    # By keywords: PyTorch's counter of FLOPs takes tensors by position for inputs, and fails for some scalars.
    if isinstance(layer, MixedNorm):
        return layer(inputs, label=label, weight=weight)
    if isinstance(layer, MixedChoice):
        return layer(inputs, factor=weight)
    if isinstance(layer, WeighedLayers):
        return layer(inputs, weight=weight)
    if layer is None:
        return times(inputs, weight)
    return times(layer(inputs), weight)


def weigh(inputs: Tensor, width: Number) -> Tensor:
    """Weigh the channels of ``(n, channels, ...)`` where the width is open."""
    weights = weights_of(width)
    if weights is None:
        return inputs
    return inputs * weights.view(-1, *[1] * (inputs.dim() - 2))


def averages(outputs: Tensor) -> Tensor:
    """Average ``(n, features, ...)`` over all but the first two dimensions."""
    if outputs.dim() == 2:
        return outputs
    if outputs.dim() == 4:
        # The gradient of a plain mean has the channels first: layers in front of it would be slower, at times by half.
        return F.avg_pool2d(outputs, outputs.shape[2:]).flatten(1)
    return outputs.mean(tuple(range(2, outputs.dim())))


def add_candidates(choice: nn.Module, candidates: Mapping[str, nn.Module | None]) -> dict[str, str]:
    """Give a module the layers of a choice; returns their names there by label, without those that are None."""
    # A layer's name has no dots, and is none of the attributes of modules that hold choices.
    names = {label: label.replace("%", "%25").replace(".", "%2E") for label in candidates}
    keys = {label: "%" * (name in _TAKEN) + name for label, name in names.items() if candidates[label] is not None}
    for label, key in keys.items():
        choice.add_module(key, candidates[label])
    return keys


def name_layers(network: nn.Module) -> None:
    """Name the statistics of each norm, and the noise of each dropout, after its place in the network."""
    for name, layer in network.named_modules():
        if isinstance(layer, MixedNorm | MixedDropout):
            layer.key = name


def _differ_in_size_alone(layers: Sequence[nn.Module | None]) -> bool:
    kinds = {
        isinstance(layer, SlicedConv2d)
        and (layer.stride, layer.groups, layer.in_channels, layer.out_channels, layer.bias is None)
        for layer in layers
    }
    return len(kinds) == 1 and False not in kinds
