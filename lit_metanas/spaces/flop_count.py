"""Multiply-adds of a body, counted on two blank inputs, and which of its layers cannot take them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, describe_shape
from lit_metanas.spaces.mixed_layers import MixedChoice, MixedLayer

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


@torch.no_grad()
def convolved_flops(body: nn.Module, shape: Shape) -> tuple[int, int]:
    """Features of a child's body, and its multiply-adds, all of which are in convolutions."""
    # `LayerFlops` counts the same in five times as long, and limits look at hundreds of networks.
    counts: list[int] = []

    def count(layer: nn.Conv2d, inputs: object, outputs: Tensor) -> None:
        counts.append(layer.weight.numel() * outputs[0, 0].numel())

    handles = [layer.register_forward_hook(count) for layer in body.modules() if isinstance(layer, nn.Conv2d)]
    try:
        found: Tensor = body.eval()(blank_inputs(1, shape).to(next(body.parameters())))
    finally:
        body.train()
        for handle in handles:
            handle.remove()
    return found.shape[1], sum(counts)


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
        what = f"{layer_title(name, layer)}{choice} cannot take inputs of shape {given}"
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise ValueError(f"{what}, for {describe_shape(shape)} ({reason}): make it for such inputs.") from error


def layer_title(name: str, layer: nn.Module) -> str:
    """A layer for the beginning of a sentence: its name in a body, which is its place there, and its kind."""
    if name:
        return f"Layer '{name}' ({type(layer).__name__})"
    return f"The body ({type(layer).__name__})"
