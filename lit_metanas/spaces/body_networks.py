"""The supernet and the children that are built around one body, so that their weights have the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.builder import UnsharedScale
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.flop_count import LayerFlops, layer_title
from lit_metanas.spaces.forward_pass import ForwardPass, running
from lit_metanas.spaces.mixed_layers import MixedDropout, MixedLayer, MixedNorm, averages, name_layers
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import as_channels_last
from lit_metanas.spaces.supernet import Record, Statistics, Supernet


class BodySupernet(Supernet):
    """A body of all candidates, and the average of what it returns over the pixels."""

    averaged: ClassVar[bool] = True

    def __init__(
        self,
        body: nn.Module,
        shape: Shape,
        choices: Sequence[Choice],
        *,
        features: int | None = None,
        refusal: str = "",
    ) -> None:
        super().__init__()
        self.body = body = _checked(body)
        self.shape = shape
        self.refusal = refusal
        self.labels = {choice.name: choice.labels for choice in choices}
        name_layers(self)
        # Of one channel or one pixel, a kernel's strides do not tell whether it is channels-last.
        told = [
            n for n, own in body.named_parameters() if own.dim() == 4 and own.shape[1] > 1 and own[0, 0].numel() > 1
        ]
        self._last_kernel = told[-1] if told else ""
        self._count: LayerFlops | None = None
        self._features = features
        if features is None and not any(own.is_meta for own in body.parameters()):
            self._count_flops()  # which refuses a body that cannot be computed

    @property
    def features(self) -> int:  # type: ignore[override]
        """Length of the feature vector; on the meta device it is found out only when it is asked for."""
        return self._count_flops().features if self._features is None else self._features

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        record: Record = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``."""
        self._refuse_to_compute()
        if inputs.dim() == 4 and inputs.shape[1] == 1 and self._channels_last():
            inputs = as_channels_last(inputs)
        with running(ForwardPass(mixture, noise, statistics, record)):
            features = self.body(inputs)
        if not self.averaged:
            return features
        features = averages(features)
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
        count = self._count_flops()
        with running(ForwardPass(mixture)):
            return count.computed(self.body)

    def _refuse_to_compute(self) -> None:
        if self.refusal:
            raise ValueError(self.refusal)

    def _count_flops(self) -> LayerFlops:
        if self._count is None:
            gates = {name: Gate(torch.ones(len(labels), device="cpu")) for name, labels in self.labels.items()}
            with running(ForwardPass(gates)):
                self._count = LayerFlops(self.body, self.shape)
        return self._count

    def _channels_last(self) -> bool:
        layer, _, kind = self._last_kernel.rpartition(".")
        return bool(kind) and getattr(self.body.get_submodule(layer), kind).stride(1) == 1


class BodyChild(ChildNetwork):
    """A body of one candidate a choice, the average over the pixels and a linear classifier."""

    def __init__(
        self,
        body: nn.Module,
        shape: Shape,
        way: int,
        *,
        sliced: bool = False,
        features: int | None = None,
        flops: int | None = None,
    ) -> None:
        super().__init__()
        self.sliced = sliced
        self.body = body
        fixed = _fixed_norms(body)
        self._fixed = frozenset(name for name, layer in body.named_modules(prefix="body") if layer in fixed)
        if features is None or flops is None:
            count = LayerFlops(body, shape)
            features = count.features
            flops = count.whole(body) + features * way
        self.features, self.flops = features, flops
        self.head = nn.Linear(features, way)

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return averages(self.body(inputs))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""
        own = self._own()
        unshared = [name for name, layer in self.named_modules() if isinstance(layer, UnsharedScale)]
        plain = {f"{name}.scale": torch.ones_like(own[f"{name}.scale"]) for name in unshared}
        plain |= {f"{name}.shift": torch.zeros_like(own[f"{name}.shift"]) for name in unshared}
        self._refuse_other_sizes(weights, {} if self.sliced else self._tensors())
        for name, value in self._leading({**plain, **weights}).items():
            own[name].copy_(self._as_own(value))
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        return self._own()

    def _as_own(self, value: Tensor) -> Tensor:
        """A tensor of ``_tensors`` in the form that this network holds it in."""
        return value

    def _own(self) -> dict[str, Tensor]:
        """Parameters and statistics of the body under the supernet's names, layer by layer."""
        kinds = {"scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
        tensors: dict[str, Tensor] = {}
        for name, layer in self.body.named_modules(prefix="body"):
            if isinstance(layer, nn.BatchNorm2d) and name not in self._fixed:
                entries = {kind: getattr(layer, own) for kind, own in kinds.items()}
                tensors |= {f"{name}.{kind}": tensor for kind, tensor in entries.items() if tensor is not None}
            else:
                tensors |= {f"{name}.{kind}": tensor for kind, tensor in layer.named_parameters(recurse=False)}
        return tensors


def _fixed_norms(body: nn.Module) -> set[nn.Module]:
    """The batch-norms that stay in evaluation mode, as in a trunk that is not trained."""
    body.train()
    return {layer for layer in body.modules() if isinstance(layer, nn.BatchNorm2d) and not layer.training}


def _mix_norms(body: nn.Module, fixed: set[nn.Module]) -> nn.Module:
    """A supernet's body, with a norm that keeps no statistics in the place of each batch-norm that is not fixed."""
    mixed: dict[nn.Module, MixedNorm] = {}
    for name, layer in list(body.named_modules(remove_duplicate=False)):
        if not isinstance(layer, nn.BatchNorm2d) or not layer.track_running_stats or layer in fixed:
            continue
        if layer not in mixed:
            mixed[layer] = MixedNorm(layer.num_features, affine=layer.affine, epsilon=layer.eps)
            if layer.affine:
                mixed[layer].scale, mixed[layer].shift = layer.weight, layer.bias
        if layer is body:
            return mixed[layer]
        holder, _, own = name.rpartition(".")
        setattr(body.get_submodule(holder), own, mixed[layer])
    return body


def _checked(body: nn.Module) -> nn.Module:
    """A supernet's body, in which no layer depends on more than its inputs and parameters."""
    dropouts = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    seen: set[nn.Module] = set()
    if not isinstance(body, nn.Module):
        raise ValueError(
            f"The body is {type(body).__name__}, not a module: let `body` return one, such as nn.Sequential(*layers)."
        )
    fixed = _fixed_norms(body)
    body = _mix_norms(body, fixed)
    for name, layer in body.named_modules(remove_duplicate=False):
        title = partial(layer_title, name, layer)
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if layer not in fixed and (isinstance(layer, norms) or getattr(layer, "track_running_stats", False)):
            raise ValueError(
                f"{title()} has batch-norm statistics, which tasks may not share: use build.norm for images, and "
                "nn.LayerNorm for others."
            )
        if isinstance(layer, dropouts) and layer.p:
            raise ValueError(f"{title()} draws noise of its own: use build.dropout.")
        if layer in seen and isinstance(layer, MixedLayer | MixedNorm | MixedDropout):
            raise ValueError(f"{title()} depends on choices or tasks, and stands at two places: build it twice.")
        seen.add(layer)
    return body
