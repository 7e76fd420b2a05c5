"""Layers of a supernet that compute a mixture of candidates.

They are ordinary modules of one argument, so that any module may hold them. What they are told besides comes from the
forward pass that they are called in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.forward_pass import ONLY, Number, OpenNumber, computed_value, current, largest
from lit_metanas.spaces.mixture import Gate
from lit_metanas.spaces.operations import (
    EPSILON,
    batch_normalise,
    combine,
    dropout_scale,
    leading_part,
    merged_kernel,
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


class MixedNorm(nn.Module):
    """Batch-norm of a supernet: it keeps no statistics. Fewer channels than ``width`` are the leading ones."""

    def __init__(self, width: Number, *, affine: bool, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.key = ""
        self.width, self.epsilon = width, epsilon
        self.scale = nn.Parameter(torch.ones(largest(width))) if affine else None
        self.shift = nn.Parameter(torch.zeros(largest(width))) if affine else None

    def forward(self, inputs: Tensor, label: str = "", weight: Tensor | None = None) -> Tensor:
        """Normalise each channel of ``(n, channels, ...)``; candidates told by a label have statistics of their own."""
        _, _, given, record = current()
        scale, shift = (None if own is None else leading_part(own, inputs.shape[1]) for own in (self.scale, self.shift))
        if weight is not None:
            scale = weight.expand(inputs.shape[1]).contiguous() if scale is None else weight * scale
            shift = None if shift is None else weight * shift
        key = f"{self.key}.{label}" if label else self.key
        outputs = batch_normalise(inputs, scale, shift, key=key, statistics=given, record=record, epsilon=self.epsilon)
        return weigh(outputs, self.width)


class MixedChannels(nn.Module):
    """Weighs the channels of an open width; for where a norm's channels are to be weighed further on."""

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
        out = computed_value(self.width)
        weight = leading_part(self.weight, out) if self.groups > 1 else leading_part(self.weight, out, channels)
        return weight, None if self.bias is None else leading_part(self.bias, out)

    def convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with other weights of any odd size."""
        groups = inputs.shape[1] if self.groups > 1 else 1
        return F.conv2d(inputs, weight, bias, self.stride, weight.shape[-1] // 2, groups=groups)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return self.share(count.whole(self))

    def share(self, flops: int) -> int:
        """What is left of some multiply-adds for the channels that are computed."""
        channels, into = (1, 1) if self.groups > 1 else (computed_value(self.channels), largest(self.channels))
        return flops * computed_value(self.width) * channels // (largest(self.width) * into)


class WeighedLayers(nn.Sequential):
    """Layers one after the other, which multiply their outputs by the weight that a mixture gives them."""

    def forward(self, inputs: Tensor, weight: Tensor | None = None) -> Tensor:
        """The outputs for inputs of shape ``(n, channels, ...)``, times ``weight``, a scalar, where there is one."""
        layers = list(self)
        for layer in layers[:-1]:
            inputs = layer(inputs)
        return weighed_outputs(layers[-1] if layers else None, inputs, weight)


class MixedChoice(nn.Module):
    """A choice among layers: the weighted sum of all, or the one that is sampled."""

    def __init__(
        self, name: str, candidates: Mapping[str, nn.Module | None], norm: MixedNorm | None, merge: bool = True
    ) -> None:
        super().__init__()
        self.name = name
        self.labels = tuple(candidates)
        self.keys = tuple(None if layer is None else key_of(label) for label, layer in candidates.items())
        self.merged = merge and _differ_in_size_alone(list(candidates.values()))
        add_candidates(self, candidates)
        self.norm = norm

    def forward(self, inputs: Tensor, factor: Tensor | None = None) -> Tensor | None:
        """The mixture for inputs of shape ``(n, channels, ...)``, times a scalar; None where nothing is left."""
        gate = current().mixture[self.name]
        if gate.index is not None:
            layer = self._candidates()[gate.index]
            # A constant gate is one: the multiplication would cost a pass over the activations.
            weight = gate.weights[gate.index] if gate.weights.requires_grad else None
            return None if layer is None else self._weighed(layer, inputs, _product(weight, factor))
        if self.merged:
            return self._one_convolution(gate, inputs, factor)
        weights = gate.weights if factor is None else gate.weights * factor
        # Each candidate is added as it comes, while it is in the processor's cache.
        terms = (
            self._weighed(layer, inputs, weight, label)
            for weight, label, layer in zip(weights.unbind(), self.labels, self._candidates(), strict=True)
            if layer is not None
        )
        return sum_of(terms)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        index = current().mixture[self.name].index
        layers = self._candidates()
        if not self.merged:
            wanted = layers if index is None else [layers[index]]
            return sum(count.computed(layer) for layer in wanted if layer is not None)
        sizes = [layer.kernel_size[0] ** 2 for layer in layers if isinstance(layer, SlicedConv2d)]
        taps = max(sizes) if index is None else sizes[index]
        first = layers[0]
        assert isinstance(first, SlicedConv2d)
        return first.share(count.whole(self)) * taps // max(sizes)

    def layers(self) -> list[tuple[str, nn.Module]]:
        """The candidates that add something, each with its label."""
        own = zip(self.labels, self._candidates(), strict=True)
        return [(label, layer) for label, layer in own if layer is not None]

    def _candidates(self) -> list[nn.Module | None]:
        return [None if key is None else getattr(self, key) for key in self.keys]

    def _weighed(self, layer: nn.Module, inputs: Tensor, weight: Tensor | None, label: str = "") -> Tensor:
        """A candidate's normalised outputs, times its weight."""
        if self.norm is not None:
            return weighed_outputs(self.norm, layer(inputs), weight, label)
        return weighed_outputs(layer, inputs, weight)

    def _one_convolution(self, gate: Gate, inputs: Tensor, factor: Tensor | None) -> Tensor:
        layers = [layer for layer in self._candidates() if isinstance(layer, SlicedConv2d)]
        kernels, constants = zip(*(layer.kernel(inputs.shape[1]) for layer in layers), strict=True)
        weighted = zip(gate.weights.unbind(), constants, strict=True)
        bias = None if constants[0] is None else reduce(torch.add, (weight * one for weight, one in weighted))
        outputs = layers[0].convolve(inputs, merged_kernel(gate, kernels), bias)
        return weighed_outputs(self.norm, outputs, factor)


_TAKEN = frozenset({"", "name", "labels", "keys", "merged", "norm", "key", *dir(MixedChoice), *vars(nn.Module())})
"""What no layer of a choice can be called, as the module that holds it has another attribute of this name."""


class MixedDropout(nn.Module):
    """Drops whole channels (Tompson et al. 2015); the rates share one draw of noise."""

    def __init__(self, name: str, rates: Sequence[float], width: Number) -> None:
        super().__init__()
        self.key = ""
        self.name = name
        self.rates = tuple(rates)
        self.width = largest(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged; without noise the inputs themselves."""
        mixture, noise, _, _ = current()
        if noise is None or not max(self.rates):
            return inputs
        gate = mixture[self.name] if self.name else ONLY
        scale = dropout_scale(gate, self.rates, noise[self.key][:, : inputs.shape[1]], inputs.dtype)
        return inputs * scale.view(*scale.shape, *[1] * (inputs.dim() - 2))

    def draw(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)``; nothing where no rate drops channels."""
        return {self.key: torch.rand(examples, self.width, generator=generator)} if max(self.rates) else {}


class MixedDepth(nn.ModuleList):
    """Layers one after the other, of which the first few are computed."""

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
            outputs = {depth: F.pad(output, (0, features - output.shape[1])) for depth, output in outputs.items()}
        return combine(current().mixture[self.name], [partial(outputs.__getitem__, depth) for depth in self.depths])

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(count.computed(layer) for layer in list(self)[: max(self._computed_depths())])

    def _computed_depths(self) -> tuple[int, ...]:
        index = current().mixture[self.name].index
        return self.depths if index is None else (self.depths[index],)


class Sum(nn.ModuleList):
    """The sum of what some layers make of the same inputs; one may make nothing. Without any it is None."""

    def forward(self, inputs: Tensor) -> Tensor | None:
        """Shape ``(n, channels, ...)`` to that of the layers' outputs."""
        outputs = [layer(inputs) for layer in self]
        terms = [output for output in outputs if output is not None]
        return reduce(torch.add, terms) if terms else None


def weighed_outputs(layer: nn.Module | None, inputs: Tensor, weight: Tensor | None, label: str = "") -> Tensor:
    """A layer's outputs times a scalar, if any; the layer does it where it can without a pass over them."""
    # By keywords: PyTorch's counter of FLOPs takes tensors by position for inputs, and fails for some scalars.
    outputs: Tensor
    if isinstance(layer, MixedNorm):
        outputs = layer(inputs, label=label, weight=weight)
        return outputs
    if isinstance(layer, WeighedLayers):
        outputs = layer(inputs, weight=weight)
        return outputs
    outputs = inputs if layer is None else layer(inputs)
    return outputs if weight is None else weight * outputs


def _product(weight: Tensor | None, factor: Tensor | None) -> Tensor | None:
    if weight is None or factor is None:
        return factor if weight is None else weight
    return weight * factor


def sum_of(terms: Iterable[Tensor]) -> Tensor | None:
    """The sum of tensors of one shape; None of none."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


def weigh(inputs: Tensor, width: Number) -> Tensor:
    """Weigh the channels of ``(n, channels, ...)`` where the width is open."""
    weights = width.weights() if isinstance(width, OpenNumber) else None
    return inputs if weights is None else inputs * weights.view(-1, *[1] * (inputs.dim() - 2))


def averages(outputs: Tensor) -> Tensor:
    """Average ``(n, features, ...)`` over all but the first two dimensions."""
    return outputs.mean(tuple(range(2, outputs.dim()))) if outputs.dim() > 2 else outputs


def add_candidates(choice: nn.Module, candidates: Mapping[str, nn.Module | None]) -> None:
    """Give a module the layers of a choice, but for those that are None, under the names of ``key_of``."""
    for label, layer in candidates.items():
        if layer is not None:
            choice.add_module(key_of(label), layer)


def key_of(label: str) -> str:
    """The label as the name of a layer, a different one for each label."""
    key = label.replace("%", "%25").replace(".", "%2E")
    return f"%{key}" if key in _TAKEN else key


def name_layers(network: nn.Module) -> None:
    """Name the statistics of each norm, and the noise of each dropout, after its place in the network."""
    for name, layer in network.named_modules():
        if isinstance(layer, MixedNorm | MixedDropout):
            layer.key = name


def _differ_in_size_alone(layers: Sequence[nn.Module | None]) -> bool:
    kinds = {
        (layer.stride, layer.groups, layer.in_channels, layer.out_channels, layer.bias is None)
        for layer in layers
        if isinstance(layer, SlicedConv2d)
    }
    return len(kinds) == 1 and all(isinstance(layer, SlicedConv2d) for layer in layers)
