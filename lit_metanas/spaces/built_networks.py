"""The supernet and the children of a space that has one body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.builder import UnsharedScale
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.layers import Moments
from lit_metanas.spaces.mixed_layers import ForwardPass, MixedChoice, MixedDropout, averages, name_layers, running
from lit_metanas.spaces.operations import as_channels_last
from lit_metanas.spaces.supernet import Gate, Mixture, Shape, Supernet


class BuiltSupernet(Supernet):
    """A body of all candidates, and the average of what it returns over the pixels.

    Args:
        body: made by a ``Builder``; inputs to outputs of shape ``(n, features, ...)``.
        shape: channels, height and width of an input.
        choices: of the space.

    Raises:
        ValueError: a layer keeps statistics or draws its own noise.
    """

    def __init__(self, body: nn.Module, shape: Shape, choices: Sequence[Choice]) -> None:
        super().__init__()
        for name, layer in body.named_modules():
            _refuse(name, layer)
        self.body = body
        self.shape = shape
        self.labels = {choice.name: len(choice.labels) for choice in choices}
        name_layers(self)
        kernels = [name for name, tensor in body.named_parameters() if tensor.dim() == 4 and tensor.shape[1] > 1]
        self._last_kernel = kernels[-1] if kernels else ""
        whole = self._measure(dict.fromkeys(self.labels))
        self.features = whole.features
        free = _free(body, whole)
        self._priced = [name for name in self.labels if name not in free]
        self._counted: dict[tuple[int | None, ...], int] = {}

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``."""
        if inputs.dim() == 4 and inputs.shape[1] == 1 and self._channels_last():
            inputs = as_channels_last(inputs)
        with running(ForwardPass(mixture, noise, Moments(statistics, record))):
            features = averages(self.body(inputs))
        missing = self.features - features.shape[1]
        return F.pad(features, (0, missing)) if missing else features

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)`` for each layer that may drop channels."""
        device = next(iter(self.parameters()), torch.empty(0)).device
        layers = [layer for layer in self.modules() if isinstance(layer, MixedDropout)]
        drawn = {key: noise for layer in layers for key, noise in layer.draw(examples, generator).items()}
        return {key: noise.to(device) for key, noise in drawn.items()}

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        indices = tuple(mixture[name].index for name in self._priced)
        if indices not in self._counted:
            self._counted[indices] = self._measure({name: mixture[name].index for name in self.labels}).flops
        return self._counted[indices]

    def _measure(self, indices: Mapping[str, int | None]) -> Measured:
        gates = {n: Gate(torch.ones(count, device="meta"), indices[n]) for n, count in self.labels.items()}
        with running(ForwardPass(gates)):
            return measure(self.body, self.shape)

    def _channels_last(self) -> bool:
        layer, _, kind = self._last_kernel.rpartition(".")
        return bool(kind) and getattr(self.body.get_submodule(layer), kind).stride(1) == 1


class BuiltChild(ChildNetwork):
    """A body of one candidate a choice, the average over the pixels and a linear classifier.

    Args:
        body: made by a ``Builder``; inputs to outputs of shape ``(n, features, ...)``.
        shape: channels, height and width of an input.
        way: number of classes.
    """

    def __init__(self, body: nn.Module, shape: Shape, way: int) -> None:
        super().__init__()
        self.body = body
        measured = measure(body, shape)
        self.features = measured.features
        self.head = nn.Linear(self.features, way)
        self.flops = measured.flops + self.features * way

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return averages(self.body(inputs))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the leading parts of a supernet's parameters, batch-norm statistics where present, a fitting classifier.

        Where a supernet's batch-norm has no scale and shift, these are one and zero.

        Raises:
            ValueError: a parameter that this network needs is not among ``weights``, or is too small.
        """
        own = self._tensors()
        unshared = [name for name, layer in self.named_modules() if isinstance(layer, UnsharedScale)]
        plain = {f"{name}.scale": torch.ones_like(own[f"{name}.scale"]) for name in unshared}
        plain |= {f"{name}.shift": torch.zeros_like(own[f"{name}.shift"]) for name in unshared}
        for name, value in self._leading({**plain, **weights}).items():
            own[name].copy_(value)
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics of the body under the supernet's names."""
        kinds = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "var"}
        norms = {name for name, layer in self.named_modules() if isinstance(layer, nn.BatchNorm2d)}
        tensors: dict[str, Tensor] = {}
        for name, tensor in (*self.body.named_parameters("body"), *self.body.named_buffers("body")):
            layer, _, kind = name.rpartition(".")
            if layer in norms:
                tensors |= {f"{layer}.{kinds[kind]}": tensor} if kind in kinds else {}
            elif isinstance(tensor, nn.Parameter):
                tensors[name] = tensor
        return tensors


class Measured(NamedTuple):
    """What one input costs.

    Attributes:
        features: length of the feature vector.
        flops: forward multiply-adds.
        by_layer: those of each layer, by its name in the body.
    """

    features: int
    flops: int
    by_layer: dict[str, int]


def measure(body: nn.Module, shape: Shape) -> Measured:
    """Count the multiply-adds of a body for one input of ``shape``, without computing anything."""
    own = (*body.named_parameters(), *body.named_buffers())
    tensors = {name: torch.empty_like(tensor, device="meta") for name, tensor in own}
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        outputs: Tensor = functional_call(body, tensors, (torch.zeros(2, *shape),))
    # The counter's flop is half a multiply-add, and there are two images: batch-norm refuses a single value.
    counts = {name: sum(operations.values()) // 4 for name, operations in counter.get_flop_counts().items()}
    start = type(body).__name__
    by_layer = {name.removeprefix(start).removeprefix("."): count for name, count in counts.items()}
    return Measured(outputs.shape[1], counts.get("Global", 0), by_layer)


def _free(body: nn.Module, whole: Measured) -> set[str]:
    """Names of the choices whose candidates cost nothing, such as rates of dropout, and activations."""
    layers = [(path, layer) for path, layer in body.named_modules() if isinstance(layer, MixedChoice | MixedDropout)]
    priced = {layer.name for path, layer in layers if whole.by_layer.get(path, 0)}
    return {layer.name for _, layer in layers} - priced


def _refuse(name: str, layer: nn.Module) -> None:
    """Refuse a layer that depends on more than its inputs and parameters.

    Raises:
        ValueError: it does.
    """
    if getattr(layer, "track_running_stats", False):
        raise ValueError(f"'{name}' keeps batch-norm statistics, which tasks may not share: use build.norm.")
    if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout) and layer.p:
        raise ValueError(f"'{name}' draws noise of its own: use build.dropout.")
