"""Layers of a supernet that compute a mixture of candidates.

They are ordinary modules of one argument, so that any module may hold them. Gates, noise and batch-norm statistics are
those of the forward pass that they are called in; no layer keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.layers import Moments, SuperNorm
from lit_metanas.spaces.operations import batch_normalise, combine, dropout_scale, merged_kernel, through
from lit_metanas.spaces.supernet import Gate, Mixture, chosen, leading


class ForwardPass(NamedTuple):
    """What the layers of a supernet are told besides their inputs: see ``Supernet.forward``."""

    mixture: Mixture
    noise: Mapping[str, Tensor] | None = None
    moments: Moments = Moments()


_PASS: ContextVar[ForwardPass | None] = ContextVar("forward pass of a supernet", default=None)


@contextmanager
def running(forward_pass: ForwardPass) -> Iterator[None]:
    """Layers that are called within take gates, noise and statistics from this forward pass."""
    token = _PASS.set(forward_pass)
    try:
        yield
    finally:
        _PASS.reset(token)


def current() -> ForwardPass:
    """The forward pass that a layer is called in.

    Raises:
        RuntimeError: there is none.
    """
    found = _PASS.get()
    if found is None:
        raise RuntimeError("This layer mixes candidates, and only its supernet knows how: call the supernet.")
    return found


class OpenNumber(int):
    """A number that is a choice, or a product of such numbers; as an ``int`` it is the largest one.

    Attributes:
        factors: names of choices (empty for a constant) and their candidates.

    Example:
        >>> width = OpenNumber([("width", (8, 16))])
        >>> int(width), int(3 * width), (3 * width).factors
        (16, 48, (('width', (8, 16)), ('', (3,))))
    """

    factors: tuple[tuple[str, tuple[int, ...]], ...]

    def __new__(cls, factors: Sequence[tuple[str, tuple[int, ...]]]) -> OpenNumber:
        """The product of the largest candidates."""
        number = super().__new__(cls, reduce(int.__mul__, (max(numbers) for _, numbers in factors), 1))
        number.factors = tuple(factors)
        return number

    def __getnewargs__(self) -> tuple[tuple[tuple[str, tuple[int, ...]], ...]]:  # type: ignore[override]
        return (self.factors,)

    def __mul__(self, other: int) -> OpenNumber:
        return OpenNumber([*self.factors, *(other.factors if isinstance(other, OpenNumber) else [("", (other,))])])

    __rmul__ = __mul__

    def gates(self) -> list[tuple[Gate, tuple[int, ...]]]:
        """The gate of each factor in this forward pass, and its candidates."""
        only = Gate(torch.ones(1), 0)
        return [(current().mixture[name] if name else only, numbers) for name, numbers in self.factors]

    def computed(self) -> int:
        """The number that is computed: the sampled one, or the largest."""
        return reduce(int.__mul__, (chosen(gate, numbers) for gate, numbers in self.gates()), 1)


class MixedNorm(SuperNorm):
    """Batch-norm of a supernet within its forward pass; fewer channels than ``width`` are the leading ones.

    An open width has its channels weighed behind the norm, which would cancel the weights otherwise.

    Args:
        width: number of channels.
        affine: whether there is a scale and a shift.
    """

    def __init__(self, width: int, *, affine: bool) -> None:
        super().__init__(int(width), affine=affine)
        self.width = width

    def forward(self, inputs: Tensor, label: str = "") -> Tensor:  # type: ignore[override]
        """Normalise each channel of ``(n, channels, ...)``; candidates told by a label have statistics of their own."""
        given, record = current().moments
        scale, shift = (None if own is None else own[: inputs.shape[1]] for own in (self.scale, self.shift))
        key = f"{self.key}.{label}" if label else self.key
        outputs = batch_normalise(inputs, scale, shift, key=key, statistics=given, record=record)
        weights = leading(*self.width.gates()) if isinstance(self.width, OpenNumber) else None
        return outputs if weights is None else outputs * weights.view(-1, *[1] * (outputs.dim() - 2))


class SlicedConv2d(nn.Conv2d):
    """A convolution whose numbers of channels may be open: the leading ones of the largest are computed.

    Args:
        channels: of the input; those that come are taken.
        width: channels of the output.
        size: of the kernel, odd.
        stride: of the kernel.
        depthwise: whether each channel is convolved by itself.
        bias: whether a constant is added to each channel.
    """

    def __init__(
        self, channels: int, width: int, size: int, *, stride: int = 1, depthwise: bool = False, bias: bool = False
    ) -> None:
        groups = int(channels) if depthwise else 1
        super().__init__(int(channels), int(width), size, stride, size // 2, groups=groups, bias=bias)
        self.width = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        return self.convolve(inputs, *self.kernel(inputs.shape[1]))

    def kernel(self, channels: int) -> tuple[Tensor, Tensor | None]:
        """The leading weights and constants for inputs of so many channels."""
        out = self.width.computed() if isinstance(self.width, OpenNumber) else self.width
        weight = self.weight[:out] if self.groups > 1 else self.weight[:out, :channels]
        return weight, None if self.bias is None else self.bias[:out]

    def convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with other weights of any odd size."""
        groups = inputs.shape[1] if self.groups > 1 else 1
        return F.conv2d(inputs, weight, bias, self.stride, weight.shape[-1] // 2, groups=groups)


class MixedChoice(nn.Module):
    """A choice among layers: the weighted sum of all, or the one that is sampled.

    The gate stands behind the norm, which would cancel it otherwise. Convolutions that differ in nothing but the size
    of their kernel are summed as one convolution, before the norm: their weights add up to one there.

    Args:
        name: of the choice.
        candidates: the layers by label; None adds nothing.
        norm: normalises each candidate.
        merge: whether convolutions may be summed before the norm.
    """

    def __init__(
        self, name: str, candidates: Mapping[str, nn.Module | None], norm: MixedNorm | None, merge: bool = True
    ) -> None:
        super().__init__()
        self.name = name
        self.candidates = by_label(candidates)
        self.labels = {label: key_of(label) for label in candidates}
        self.norm = norm
        self.merged = merge and _differ_in_size_alone(list(candidates.values()))

    def forward(self, inputs: Tensor) -> Tensor | None:
        """The mixture for inputs of shape ``(n, channels, ...)``; None where nothing is left."""
        gate, labels = current().mixture[self.name], list(self.labels)
        if gate.index is not None:
            outputs = self._candidate(labels[gate.index], inputs)
            return None if outputs is None else through(gate, outputs if self.norm is None else self.norm(outputs))
        if self.merged:
            return self._one_convolution(gate, inputs)
        terms = []
        for weight, label in zip(gate.weights.unbind(), labels, strict=True):
            outputs = self._candidate(label, inputs)
            if outputs is not None:
                terms.append(weight * (outputs if self.norm is None else self.norm(outputs, label)))
        return reduce(torch.add, terms) if terms else None

    def _candidate(self, label: str, inputs: Tensor) -> Tensor | None:
        key = self.labels[label]
        return self.candidates[key](inputs) if key in self.candidates else None

    def _one_convolution(self, gate: Gate, inputs: Tensor) -> Tensor:
        layers = [layer for layer in self.candidates.values() if isinstance(layer, SlicedConv2d)]
        kernels, constants = zip(*(layer.kernel(inputs.shape[1]) for layer in layers), strict=True)
        weighted = zip(gate.weights.unbind(), constants, strict=True)
        bias = None if constants[0] is None else reduce(torch.add, (weight * one for weight, one in weighted))
        outputs = layers[0].convolve(inputs, merged_kernel(gate, kernels), bias)
        return outputs if self.norm is None else self.norm(outputs)


class MixedDropout(nn.Module):
    """Drops whole channels (Tompson et al. 2015); the rates share one draw of noise.

    Args:
        name: of the choice; empty for a single rate.
        rates: the candidates' probabilities that a channel is dropped.
        width: number of channels.

    Attributes:
        key: names the noise.
    """

    def __init__(self, name: str, rates: Sequence[float], width: int) -> None:
        super().__init__()
        self.key = ""
        self.name = name
        self.rates = tuple(rates)
        self.width = int(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged; without noise the inputs themselves."""
        passing = current()
        if passing.noise is None or not max(self.rates):
            return inputs
        gate = passing.mixture[self.name] if self.name else Gate(torch.ones(1), 0)
        uniform = passing.noise[self.key][:, : inputs.shape[1]]
        scale = dropout_scale(gate, self.rates, uniform, inputs.dtype)
        return inputs * scale.view(*scale.shape, *[1] * (inputs.dim() - 2))

    def draw(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)``; nothing where no rate drops channels."""
        return {self.key: torch.rand(examples, self.width, generator=generator)} if max(self.rates) else {}


class MixedDepth(nn.ModuleList):
    """Layers one after the other, of which the first few are computed.

    Args:
        name: of the choice.
        layers: from input to output.
        depths: the candidates' numbers of layers.
        averaged: whether outputs are averaged over their pixels before they are mixed.
    """

    def __init__(self, name: str, layers: Sequence[nn.Module], depths: Sequence[int], averaged: bool) -> None:
        super().__init__(layers)
        self.name = name
        self.depths = tuple(depths)
        self.averaged = averaged

    def forward(self, inputs: Tensor) -> Tensor:
        """The mixture of the outputs at the candidates' depths, for inputs of shape ``(n, channels, ...)``."""
        gate = current().mixture[self.name]
        wanted = self.depths if gate.index is None else (self.depths[gate.index],)
        outputs = {}
        for depth, layer in enumerate(list(self)[: max(wanted)], start=1):
            inputs = layer(inputs)
            if depth in wanted:
                outputs[depth] = averages(inputs) if self.averaged else inputs
        if self.averaged:  # fewer features are the leading ones
            features = max(output.shape[1] for output in outputs.values())
            outputs = {depth: F.pad(output, (0, features - output.shape[1])) for depth, output in outputs.items()}
        return combine(gate, [partial(outputs.__getitem__, depth) for depth in self.depths])


class Sum(nn.ModuleList):
    """The sum of what some layers make of the same inputs; one may make nothing. Without any it is None."""

    def forward(self, inputs: Tensor) -> Tensor | None:
        """Shape ``(n, channels, ...)`` to that of the layers' outputs."""
        outputs = [layer(inputs) for layer in self]
        terms = [output for output in outputs if output is not None]
        return reduce(torch.add, terms) if terms else None


def averages(outputs: Tensor) -> Tensor:
    """Average ``(n, features, ...)`` over all but the first two dimensions."""
    return outputs.mean(tuple(range(2, outputs.dim()))) if outputs.dim() > 2 else outputs


def by_label(candidates: Mapping[str, nn.Module | None]) -> nn.ModuleDict:
    """Layers by label, but for those that are None."""
    return nn.ModuleDict({key_of(label): layer for label, layer in candidates.items() if layer is not None})


def key_of(label: str) -> str:
    """The label as ``nn.ModuleDict`` takes it: without dots, and not the name of a method."""
    key = label.replace(".", "_")
    return f"{key}_" if hasattr(nn.ModuleDict, key) or not key else key


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
