"""The supernet and the children of one body, whose weights have the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, labels_of
from lit_metanas.spaces.child_network import ChildNetwork, UnsharedScale, norm_tensors
from lit_metanas.spaces.flop_count import LayerFlops, layer_title
from lit_metanas.spaces.forward_pass import ForwardPass, Statistics, running
from lit_metanas.spaces.mixed_layers import MixedDropout, MixedLayer, MixedNorm, averages, name_layers
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import as_channels_last, padded
from lit_metanas.spaces.supernet import Supernet


class BodySupernet(Supernet):
    """A body of all candidates, and the average of its outputs ``(n, features, ...)`` over pixels or steps."""

    averaged: ClassVar[bool] = True  # else features are those of each step

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
        self.labels = labels_of(choices)
        name_layers(self)
        # Of one channel or one pixel, a kernel's strides do not say whether it is channels-last.
        parameters = body.named_parameters()
        clear = [name for name, own in parameters if own.dim() == 4 and own.shape[1] > 1 and own[0, 0].numel() > 1]
        self._last_kernel = next(reversed(clear), "")
        self._count: LayerFlops | None = None
        self._features = features
        if features is None and not any(own.is_meta for own in body.parameters()):
            self._count_flops()  # which refuses a body that cannot be computed

    @property
    def features(self) -> int:  # type: ignore[override]
        """Length of the feature vector; on the meta device it is found out only when it is asked for."""
        if self._features is None:
            return self._count_flops().features
        return self._features

    def _embed(self, inputs: Tensor) -> Tensor:
        if inputs.dim() == 4 and inputs.shape[1] == 1 and self._channels_last():
            inputs = as_channels_last(inputs)
        features: Tensor = self.body(inputs)
        if not self.averaged:
            return features
        return padded(averages(features), self.features)

    def scores(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """See ``Supernet.scores``."""
        self._refuse_to_compute()
        with running(ForwardPass(mixture, noise, statistics)):
            return self._score(outputs, inputs, targets)

    def _score(self, outputs: Mapping[str, Tensor], inputs: Tensor, targets: Tensor | None) -> Tensor:
        """The scores within the current forward pass."""
        return F.linear(self._embed(inputs), outputs["head.weight"], outputs["head.bias"])

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
    """A body of one candidate a choice, the average of its outputs over pixels or steps, and a linear classifier.

    Parameters may be leading parts of the supernet's if it is ``sliced``.
    """

    def __init__(self, body: nn.Module, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__()
        self.sliced = sliced
        self.body = body
        fixed = _fixed_norms(body)
        self._fixed = frozenset(name for name, layer in body.named_modules(prefix="body") if layer in fixed)
        self.features, self.flops = self._count(body, shape)
        self.flops += self.features * way
        self.head = nn.Linear(self.features, way)

    def _count(self, body: nn.Module, shape: Shape) -> tuple[int, int]:
        """The features of a body, and its multiply-adds."""
        count = LayerFlops(body, shape)
        return count.features, count.whole(body)

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return averages(self.body(inputs))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""
        if not self.sliced:
            self._refuse_other_sizes(weights)
        plain: dict[str, Tensor] = {}  # scale and shift of norms that have none in a supernet
        for name, layer in self.named_modules():
            if isinstance(layer, UnsharedScale):
                plain |= {f"{name}.scale": torch.ones_like(layer.weight), f"{name}.shift": torch.zeros_like(layer.bias)}
        self._copy({**plain, **weights})

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics of the body under the supernet's names, layer by layer."""
        tensors: dict[str, Tensor] = {}
        for name, layer in self.body.named_modules(prefix="body"):
            if isinstance(layer, nn.BatchNorm2d) and name not in self._fixed:
                tensors |= norm_tensors(name, layer)
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
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    seen: set[nn.Module] = set()
    fixed = _fixed_norms(body)
    body = _mix_norms(body, fixed)
    for name, layer in body.named_modules(remove_duplicate=False):
        title = layer_title(name, layer)
        if layer not in fixed and (isinstance(layer, norms) or getattr(layer, "track_running_stats", False)):
            raise ValueError(
                f"{title} has batch-norm statistics, which tasks may not share: use build.norm for images, and "
                "nn.LayerNorm for others."
            )
        if isinstance(layer, dropouts) and layer.p:
            raise ValueError(f"{title} draws noise of its own: use build.dropout.")
        if layer in seen and isinstance(layer, MixedLayer | MixedNorm | MixedDropout):
            raise ValueError(f"{title} depends on choices or tasks, and stands at two places: build it twice.")
        seen.add(layer)
    return body
