"""Multiply-adds of a body, counted on two blank inputs, and which of its layers cannot take them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, describe_shape
from lit_metanas.spaces.forward_pass import OpenNumber, largest
from lit_metanas.spaces.mixed_layers import MixedChoice, MixedDepth, MixedLayer, SlicedConv2d, Sum

_LONGEST_REASON = 160
"""Characters of PyTorch's words that are passed on."""


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


@contextmanager
def _watching(body: nn.Module, enter: Callable[..., None], leave: Callable[..., None]) -> Iterator[None]:
    """Call functions before and after each layer of a body."""
    handles: list[Any] = [layer.register_forward_pre_hook(enter) for layer in body.modules()]
    handles += [layer.register_forward_hook(leave) for layer in body.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


Inner = tuple[int, ...]
"""The shape of one input or output of a layer, without the number of examples."""


@contextmanager
def naming_layers(body: nn.Module, shape: Shape) -> Iterator[None]:
    """Where PyTorch fails in a forward pass of a body within, raise a ValueError that names the layer or the choice."""
    entered: list[tuple[nn.Module, Inner]] = []
    made: dict[nn.Module, Inner] = {}

    def enter(layer: nn.Module, inputs: tuple[object, ...]) -> None:
        entered.append((layer, _inner(*inputs[:1])))

    def leave(layer: nn.Module, inputs: object, outputs: object) -> None:
        entered.pop()
        made[layer] = _inner(outputs)

    try:
        with _watching(body, enter, leave):
            yield
    except RuntimeError as error:
        if not entered:
            raise
        mismatches = (_find_shape_mismatch(layer, made, entered[-1]) for layer, _ in reversed(entered))
        sentence = next(filter(None, mismatches), None) or _unfit(body, entered, shape, error)
        raise ValueError(sentence) from error


def _inner(value: object = None) -> Inner:
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else ()


def _find_shape_mismatch(
    layer: nn.Module, made: Mapping[nn.Module, Inner], last: tuple[nn.Module, Inner]
) -> str | None:
    """A sentence on parts of a layer that are to be added up, and have different shapes; None where they fit."""
    fix = "give them one shape"
    if isinstance(layer, MixedChoice):
        parts = {f"'{label}' {made[own]}": made[own] for label, own in layer.layers() if own in made}
        what = f"candidates of choice '{layer.name}'"
        if len({tuple(own[1:]) for own in parts.values()}) == 1:
            fix = "give them one number of channels, or make that a choice (build.number)"
    elif isinstance(layer, Sum):
        parts = {f"{type(own).__name__} {made[own]}": made[own] for own in layer if made.get(own)}
        what = "parts of a sum (build.sum)"
    elif isinstance(layer, MixedDepth) and not layer.averaged:
        parts = {f"{depth} {made[own]}": made[own] for depth, own in enumerate(layer, start=1) if own in made}
        what, fix = f"layers of choice '{layer.name}'", f"{fix}, or averaged=True"
    else:
        return None
    if len(set(parts.values())) > 1:
        return f"The {what} have outputs of different shapes, {' and '.join(parts)}, which cannot be added up: {fix}."
    failed, given = last
    if isinstance(layer, MixedChoice) and failed is layer.norm and given and given[0] != largest(layer.norm.width):
        return (
            f"Choice '{layer.name}' has norm={largest(layer.norm.width)}, but its candidates have {given[0]} channels."
        )
    return None


def _unfit(body: nn.Module, entered: Sequence[tuple[nn.Module, Inner]], shape: Shape, error: RuntimeError) -> str:
    """A sentence on the layer that could not take its inputs."""
    layer, given = entered[-1]
    choice = next((f", of choice '{own.name}'," for own, _ in reversed(entered) if isinstance(own, MixedChoice)), "")
    name = next((name for name, own in body.named_modules() if own is layer), "")
    what = f"{layer_title(name, layer)}{choice} cannot take inputs of shape {given}, for {describe_shape(shape)}"
    reason = " ".join(str(error).split())
    convolutions = (own for own in body.modules() if isinstance(own, SlicedConv2d))
    if "Output size is too small" in reason or "can't be greater than actual input size" in reason:
        larger = "larger images" if len(shape) == 3 else "more steps"
        fix = f"pool less, or take {larger}"
    elif any(isinstance(own.width, OpenNumber) for own in convolutions):
        fix = "behind an open number of channels use build.conv and build.norm"
    elif given == shape:
        fix = "make it for the channels of shape[0]"
    else:
        fix = "make it for such inputs"
    return f"{what} ({reason[:_LONGEST_REASON]}): {fix}."


def layer_title(name: str, layer: nn.Module) -> str:
    """A layer for the beginning of a sentence: its name in a body, which is its place there, and its kind."""
    if name:
        return f"Layer '{name}' ({type(layer).__name__})"
    return f"The body ({type(layer).__name__})"
