"""The supernet and the children of a space that has one body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.layers import Moments
from lit_metanas.spaces.mixed_layers import ForwardPass, MixedDropout, averages, name_layers, running
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import as_channels_last
from lit_metanas.spaces.space import Shape, Supernet

Indices = tuple[int | None, ...]


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
        self.body = body
        self.shape = shape
        self.labels = {choice.name: len(choice.labels) for choice in choices}
        for name, layer in body.named_modules():
            _refuse(name, layer)
        name_layers(self)
        self._last = [name for name, tensor in self.named_parameters() if tensor.dim() == 4 and tensor.shape[1] > 1][-1:]
        self._costs: dict[Indices, int] = {}
        everything = {name: Gate(torch.ones(count), None) for name, count in self.labels.items()}
        self.features, _ = self._measure(everything)

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``."""
        if inputs.shape[1] == 1 and inputs.dim() == 4 and self._channels_last():
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
        indices = tuple(mixture[name].index for name in self.labels)
        if indices not in self._costs:
            self._costs[indices] = self._measure(mixture)[1]
        return self._costs[indices]

    def _measure(self, mixture: Mixture) -> tuple[int, int]:
        gates = {n: Gate(torch.ones(count, device="meta"), mixture[n].index) for n, count in self.labels.items()}
        return measure(self.body, self.shape, ForwardPass(gates))

    def _channels_last(self) -> bool:
        return bool(self._last) and self.get_parameter(self._last[0]).stride(1) == 1


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
        self.features, flops = measure(body, shape)
        self.head = nn.Linear(self.features, way)
        self.flops = flops + self.features * way

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return averages(self.body(inputs))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the leading parts of a supernet's parameters, batch-norm statistics where present, a fitting classifier.

        Raises:
            ValueError: a parameter that this network needs is not among ``weights``, or is too small.
        """
        own = self._tensors()
        ends = (".scale", 1.0), (".shift", 0.0)
        plain = {n: torch.full_like(t, value) for n, t in own.items() for end, value in ends if n.endswith(end)}
        for name, value in self._leading({**plain, **weights}).items():
            own[name].copy_(value)
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics of the body under the supernet's names."""
        kinds = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "var"}
        norms = {name for name, layer in self.named_modules() if isinstance(layer, nn.BatchNorm2d)}
        tensors = {}
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            layer, _, kind = name.rpartition(".")
            if layer in norms and kind in kinds:
                tensors[f"{layer}.{kinds[kind]}"] = tensor
            elif isinstance(tensor, nn.Parameter) and layer != "head":
                tensors[name] = tensor
        return tensors


def measure(body: nn.Module, shape: Shape, forward_pass: ForwardPass | None = None) -> tuple[int, int]:
    """Length of a body's feature vector, and its multiply-adds for one input of ``shape``; nothing is computed."""
    tensors = {n: torch.empty_like(tensor, device="meta") for n, tensor in (*body.named_parameters(), *body.named_buffers())}
    images = torch.zeros(2, *shape, device="meta")
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        with running(forward_pass) if forward_pass else nullcontext():
            outputs: Tensor = functional_call(body, tensors, (images,))
    # The counter's flop is half a multiply-add, and there are two images: batch-norm refuses a single value.
    return outputs.shape[1], counter.get_total_flops() // 4


def _refuse(name: str, layer: nn.Module) -> None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        raise ValueError(f"'{name}' keeps batch-norm statistics, which tasks may not share: use build.norm.")
    if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p:
        raise ValueError(f"'{name}' draws noise of its own: use build.dropout.")
