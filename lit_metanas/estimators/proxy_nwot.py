"""Neural architecture search without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lit_metanas.estimators.proxy import Proxy

RELU = frozenset(
    {
        torch.ops.aten.relu.default,
        torch.ops.aten.relu_.default,
        torch.ops.aten.leaky_relu.default,
        torch.ops.aten.leaky_relu_.default,
    }
)
"""Operations with a kink at zero, whether a module or a function calls them."""

CLAMPS = frozenset({torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default})
"""Operations with a kink at a lower bound, which is zero for ReLU6; the upper one is left out."""


class Nwot(Proxy):
    """How well the signs before the ReLUs tell images apart (Mellor et al. 2021, Eq. 2).

    Entry ``(i, j)`` of the kernel is the number of ReLU inputs, over all layers and pixels, that are positive for both
    of two images or for neither; the score is the logarithm of the kernel's determinant. No number where two images
    have the same signs, or where there is no ReLU.
    """

    passes = 1
    needs_data = True

    @torch.no_grad()
    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; labels do not matter."""
        del labels
        with _SignCounter(len(inputs)) as counter:
            network(inputs)
        sign, logarithm = torch.linalg.slogdet(counter.kernel)
        return float(logarithm) if float(sign) > 0 else -math.inf


class _SignCounter(TorchDispatchMode):
    """Sums the kernel over the ReLUs that are called.

    Attributes:
        kernel: equal signs of each pair of images, shape ``(images, images)``.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(images, images, dtype=torch.float64)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in RELU or (func in CLAMPS and args[1:2] == (0,)):
            positive = (args[0] > 0).flatten(1).float()
            signs = 2 * positive - 1
            agreement = signs @ signs.T  # equal signs minus unequal ones; whole numbers, exact below 2^24
            self.kernel += (agreement.cpu().double() + signs.shape[1]) / 2
        return func(*args, **(kwargs or {}))
