"""Multiply-adds of a body, counted on two blank images."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces.mixed_layers import MixedLayer
from lit_metanas.spaces.supernet import Shape


class LayerFlops:
    """Multiply-adds of each layer of a body for one input.

    They are counted once, with all candidates computed; what a mixture costs follows from the layers' own shares. So it
    is exact because candidates that are summed have outputs of one size.

    Args:
        body: inputs to outputs of shape ``(n, features, ...)``; a supernet's in a forward pass of all candidates.
        shape: channels, height and width of an input.

    Attributes:
        features: length of the feature vector.
    """

    def __init__(self, body: nn.Module, shape: Shape) -> None:
        counts: Counter[nn.Module] = Counter()
        entered: list[int] = []
        own = (*body.named_parameters(), *body.named_buffers())
        # Zeros on the CPU: on the meta device, whose shapes Python works out, the same takes ten times as long.
        tensors = {name: torch.zeros_like(tensor, device="cpu") for name, tensor in own}
        with torch.no_grad(), torch.device("cpu"), FlopCounterMode(display=False) as counter:

            def enter(layer: nn.Module, inputs: object) -> None:
                entered.append(counter.get_total_flops())

            def leave(layer: nn.Module, inputs: object, outputs: object) -> None:
                counts[layer] += counter.get_total_flops() - entered.pop()

            handles = [layer.register_forward_pre_hook(enter) for layer in body.modules()]
            handles += [layer.register_forward_hook(leave) for layer in body.modules()]
            try:
                images = torch.zeros(2, *shape, dtype=next((t.dtype for _, t in own if t.is_floating_point()), None))
                outputs: Tensor = functional_call(body, tensors, (images,))
            finally:
                for handle in handles:
                    handle.remove()
        # The counter's flop is half a multiply-add, and there are two images: batch-norm refuses a single value.
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
