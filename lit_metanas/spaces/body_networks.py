"""The supernet and the children of one body, whose weights have the same names, and a count of their multiply-adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, describe_shape
from lit_metanas.spaces.architecture import Choice, labels_of
from lit_metanas.spaces.mixed_layers import MixedChoice, MixedDropout, MixedLayer, MixedNorm, averages, name_layers
from lit_metanas.spaces.mixture import ForwardPass, Gate, Mixture, running
from lit_metanas.spaces.operations import laid_out_like, padded
from lit_metanas.spaces.supernet import ChildNetwork, Supernet, UnsharedScale, inherit

_LONGEST_REASON = 160  # characters of PyTorch's words that are passed on


class LayerFlops:
    """Multiply-adds of each layer of a body for one input."""

    # They are counted once, with all candidates computed; the cost of a mixture follows from the layers' own shares.
    # That is exact because candidates that are summed have outputs of one size.

    def __init__(self, body: nn.Module, shape: Shape) -> None:
        counts: Counter[nn.Module] = Counter()
        entered: list[int] = []
        own = {**dict(body.named_parameters()), **dict(body.named_buffers())}
        # Zeros on the CPU: on the meta device, whose shapes Python works out, the same takes ten times as long.
        tensors = {name: torch.zeros_like(tensor, device="cpu") for name, tensor in own.items()}
        counter = FlopCounterMode(display=False)

        def enter(layer: nn.Module, inputs: object) -> None:
            entered.append(counter.get_total_flops())

        def leave(layer: nn.Module, inputs: object, outputs: object) -> None:
            counts[layer] += counter.get_total_flops() - entered.pop()

        with naming_layers(body, shape), torch.no_grad(), torch.device("cpu"), counter, _watching(body, enter, leave):
            inputs = blank_inputs(2, shape)  # batch-norm refuses a single value
            if inputs.is_floating_point():
                inputs = inputs.to(next((one.dtype for one in own.values() if one.is_floating_point()), inputs.dtype))
            outputs: Tensor = functional_call(body, tensors, (inputs,))
        # The counter's flop is half a multiply-add, and there are two inputs.
        self._whole = {layer: flops // 4 for layer, flops in counts.items()}
        self._mixed = {layer: layer for layer in body.modules() if isinstance(layer, MixedLayer)}
        self._open = {layer for layer in body.modules() if any(own in self._mixed for own in layer.modules())}
        self.features = outputs.shape[1]

    def whole(self, layer: nn.Module) -> int:
        """Where all candidates are computed."""
        return self._whole.get(layer, 0)

    def computed(self, layer: nn.Module) -> int:
        """Under the gates of the current forward pass."""
        if layer not in self._open:
            return self.whole(layer)
        if layer in self._mixed:
            return self._mixed[layer].computed_flops(self)
        return self.whole(layer) + sum(self.computed(own) - self.whole(own) for own in layer.children())


@torch.no_grad()
def convolved_flops(body: nn.Module, shape: Shape) -> tuple[int, int]:
    """Features of a child's body, and its multiply-adds, all of which are in convolutions."""
    # `LayerFlops` counts the same in five times as long, and limits look at hundreds of networks.
    counts: list[int] = []

    def count(layer: nn.Conv2d, inputs: object, outputs: Tensor) -> None:
        counts.append(layer.weight.numel() * outputs[0, 0].numel())

    with ExitStack() as hooks:
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d):
                hooks.enter_context(layer.register_forward_hook(count))
        found: Tensor = body.eval()(blank_inputs(1, shape).to(next(body.parameters())))
    body.train()
    return found.shape[1], sum(counts)


@contextmanager
def _watching(body: nn.Module, enter: Callable[..., None], leave: Callable[..., None]) -> Iterator[None]:
    with ExitStack() as hooks:
        for layer in body.modules():
            hooks.enter_context(layer.register_forward_pre_hook(enter))
            hooks.enter_context(layer.register_forward_hook(leave))
        yield


@contextmanager
def naming_layers(body: nn.Module, shape: Shape) -> Iterator[None]:
    """Where PyTorch fails in a forward pass of a body within, raise a ValueError that names the layer or the choice."""
    entered: list[tuple[nn.Module, tuple[object, ...]]] = []

    def enter(layer: nn.Module, inputs: tuple[object, ...]) -> None:
        entered.append((layer, inputs))

    def leave(layer: nn.Module, inputs: object, outputs: object) -> None:
        entered.pop()

    try:
        with _watching(body, enter, leave):
            yield
    except RuntimeError as error:
        if not entered:
            raise
        layer, inputs = entered[-1]
        choice = next(
            (f", of choice '{own.name}'," for own, _ in reversed(entered) if isinstance(own, MixedChoice)), ""
        )
        name = next((name for name, own in body.named_modules() if own is layer), "")
        given = next((tuple(one.shape[1:]) for one in inputs if isinstance(one, Tensor)), ())
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise ValueError(
            f"{layer_title(name, layer)}{choice} cannot take inputs of shape {given}, for {describe_shape(shape)} "
            f"({reason}): make it for such inputs."
        ) from error


def layer_title(name: str, layer: nn.Module) -> str:
    """A layer for the beginning of a sentence: its name in a body, which is its place there, and its kind."""
    if name:
        return f"Layer '{name}' ({type(layer).__name__})"
    return f"The body ({type(layer).__name__})"


class BodySupernet(Supernet):
    """A body of all candidates, and the average of its outputs ``(n, features, ...)`` over pixels or steps."""

    averaged: ClassVar[bool] = True  # else features are those of each step

    def __init__(
        self,
        body: nn.Module,
        shape: Shape,
        choices: Sequence[Choice],
        *,
        refusal: str = "",
    ) -> None:
        super().__init__()
        self.body = body = _checked(body)
        self.shape = shape
        self.refusal = refusal
        self.labels = labels_of(choices)
        name_layers(self)
        self._last_kernel = ""
        for name, own in body.named_parameters():
            # Of one channel or one pixel, a kernel's strides do not say whether it is channels-last.
            if own.dim() == 4 and own.shape[1] > 1 and own[0, 0].numel() > 1:
                self._last_kernel = name
        self._counted: LayerFlops | None = None
        known = not self.averaged or hasattr(body, "known_features")
        if not known and not any(own.is_meta for own in body.parameters()):
            self._layer_flops()  # which refuses a body that cannot be computed

    @property
    def features(self) -> int:  # type: ignore[override]
        """Length of the feature vector; on the meta device it is found out only when it is asked for."""
        # A count computes the body: one that knows its number of features says it.
        known = getattr(self.body, "known_features", None)
        return self._layer_flops().features if known is None else known

    def _embed(self, inputs: Tensor) -> Tensor:
        layer, _, kind = self._last_kernel.rpartition(".")
        if kind and inputs.dim() == 4:
            inputs = laid_out_like(inputs, getattr(self.body.get_submodule(layer), kind))
        features: Tensor = self.body(inputs)
        if not self.averaged:
            return features
        return padded(averages(features), self.features)

    def output_flops(self, way: int) -> int:
        """Of each step, where a body scores several."""
        return super().output_flops(way) * getattr(self.body, "scored_steps", 1)

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)`` for each layer that may drop channels."""
        device = next(iter(self.parameters()), torch.empty(0)).device
        layers = (layer for layer in self.modules() if isinstance(layer, MixedDropout))
        return {key: noise.to(device) for layer in layers for key, noise in layer.draw(examples, generator).items()}

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        with running(ForwardPass(mixture)):
            known = getattr(self.body, "known_flops", None)
            return self._layer_flops().computed(self.body) if known is None else known

    def _layer_flops(self) -> LayerFlops:
        # Not a cached property: a module hides the AttributeError of a layer that a property calls.
        if self._counted is None:
            gates = {name: Gate(torch.ones(len(labels), device="cpu")) for name, labels in self.labels.items()}
            with running(ForwardPass(gates)):
                self._counted = LayerFlops(self.body, self.shape)
        return self._counted


_NORM_TENSORS = {"scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
"""What the tensors of a batch-norm are called in a supernet, and in a child."""


class BodyChild(ChildNetwork):
    """A body of one candidate a choice, the average of its outputs over pixels or steps, and a linear classifier.

    Parameters may be leading parts of the supernet's if it is ``sliced``; else those of another size are refused.
    """

    def __init__(self, body: nn.Module, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__()
        self.sliced = sliced
        self.body = body
        fixed = _fixed_norms(body)
        self._fixed = frozenset(name for name, layer in body.named_modules(prefix="body") if layer in fixed)
        self.features, self.flops = self._count(body, shape)
        self.flops += self.features * way * getattr(body, "scored_steps", 1)
        self.head = nn.Linear(self.features, way)

    def _count(self, body: nn.Module, shape: Shape) -> tuple[int, int]:
        features, flops = (getattr(body, name, None) for name in ("known_features", "known_flops"))
        if features is not None and flops is not None:  # by a formula, as a count takes longer than making the network
            return features, flops
        count = LayerFlops(body, shape)
        return count.features, count.whole(body)

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return averages(self.body(inputs))

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""
        plain: dict[str, Tensor] = {}  # scale and shift of norms that have none in a supernet
        for name, layer in self.named_modules():
            if isinstance(layer, UnsharedScale):
                plain |= {f"{name}.scale": torch.ones_like(layer.weight), f"{name}.shift": torch.zeros_like(layer.bias)}
        weights, own = {**plain, **weights}, self._tensors()
        for name, tensor in own.items():
            if not self.sliced and name in weights and weights[name].shape != tensor.shape:
                raise ValueError(
                    f"The weights hold '{name}' {tuple(weights[name].shape)}, not {tuple(tensor.shape)}: they come "
                    "from another space."
                )
        statistics = {name for name in own if name.endswith((".mean", ".var"))}
        found = inherit(weights, {name: tensor for name, tensor in own.items() if name not in statistics})
        for name in statistics & weights.keys():  # perhaps a narrower child's: further channels keep their own
            own[name][: len(weights[name])] = weights[name][: len(own[name])]
        for name, value in found.items():
            own[name].copy_(value)
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, layer in self.body.named_modules(prefix="body"):
            if isinstance(layer, nn.BatchNorm2d) and name not in self._fixed:
                own = {kind: getattr(layer, attribute) for kind, attribute in _NORM_TENSORS.items()}
                tensors |= {f"{name}.{kind}": tensor for kind, tensor in own.items() if tensor is not None}
            else:
                tensors |= {f"{name}.{kind}": tensor for kind, tensor in layer.named_parameters(recurse=False)}
        return tensors


class UnsharedChild(BodyChild):
    """A child that takes what another one has; all multiply-adds of its body are in convolutions."""

    def _count(self, body: nn.Module, shape: Shape) -> tuple[int, int]:
        if hasattr(body, "known_flops"):
            return super()._count(body, shape)
        return convolved_flops(body, shape)

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what another child has under the same names, the leading part that both have; the rest stays."""
        own = self._tensors()
        known = own.keys() & weights.keys()
        if weights and not known:
            raise ValueError("The weights hold none of this network's: they come from another space.")
        for name in known:
            given, taken = weights[name], own[name]
            if given.dim() != taken.dim():
                raise ValueError(
                    f"The weights hold '{name}' {tuple(given.shape)}, not {tuple(taken.shape)}: they come from another "
                    "space."
                )
            part = tuple(slice(min(one, other)) for one, other in zip(given.shape, taken.shape, strict=True))
            taken[part] = given[part]
        self._inherit_head(weights)


def _fixed_norms(body: nn.Module) -> set[nn.Module]:
    body.train()
    return {layer for layer in body.modules() if isinstance(layer, nn.BatchNorm2d) and not layer.training}


def _mix_norms(body: nn.Module, fixed: set[nn.Module]) -> nn.Module:
    # A supernet's body, with a norm that keeps no statistics in the place of each batch-norm that is not fixed.
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
    # A supernet's body, in which no layer depends on more than its inputs and parameters.
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
