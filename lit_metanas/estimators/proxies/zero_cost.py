"""Zero-cost proxies: synflow, snip, nwot, the number of parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lit_metanas.inputs.batches import inputs_like
from lit_metanas.io.settings import keeps_arguments

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
"""All of torch's dropouts; their common base is not public."""


class UndefinedProxyError(ValueError):
    """A proxy is not a finite number for a network."""


@keeps_arguments()
class Proxy(ABC):
    """A number that should rank untrained networks as training would; higher is better.

    Attributes:
        passes: cost for each image, in units of the forward multiply-adds: 1 forward, and 1 each for the gradients of
            weights and of activations.
        needs_data: whether it reads images. A proxy that does not needs only the shape of ``inputs``.

    Example:
        >>> class Biases(lm.estimators.Proxy):
        ...     passes, needs_data = 0, False
        ...
        ...     def value(self, network, inputs, labels):
        ...         named = network.named_parameters()
        ...         return float(sum(weight.numel() for name, weight in named if name.endswith("bias")))
        >>> Biases()(torch.nn.Linear(3, 2), torch.rand(1, 3), torch.tensor([0]))
        2.0
    """

    passes: int
    needs_data: bool

    def __call__(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """Score a network without changing it.

        Args:
            network: images in, class scores out. Its batch-norm uses the batch's statistics if the proxy needs data;
                its dropout is off.
            inputs: shape ``(n, channels, height, width)``, on the network's device.
            labels: class indices, shape ``(n,)``.

        Raises:
            UndefinedProxyError: the score is not a finite number.
        """
        with torch.inference_mode(False), torch.enable_grad():
            copy = deepcopy(network).train(self.needs_data)
            for module in copy.modules():
                if isinstance(module, DROPOUTS):
                    module.eval()
            value = self.value(copy, inputs.clone(), labels.clone())
        if not math.isfinite(value):
            raise UndefinedProxyError(
                f"{type(self).__name__} of this network is {value}: it says nothing about it, so leave the network "
                "out or take another proxy."
            )
        return value

    @abstractmethod
    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; ``network`` is a copy that may be changed."""


def layer_weights(network: nn.Module) -> list[Tensor]:
    """Weights of all convolutions and linear layers, without biases, as the literature's proxies sum over them."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def gradients(value: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """The gradient by each weight; zero if ``value`` does not depend on it."""
    if not value.requires_grad:
        return [torch.zeros_like(weight) for weight in weights]
    return [*torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)]


class Snip(Proxy):
    """Sensitivity of the loss to removing single weights (Lee et al. 2019, Eq. 6; Abdelfattah et al. 2021).

    Sum over the weights of convolutions and linear layers of ``|w dL/dw|``, which is the size of the gradient of a mask
    of ones; ``L`` is the mean cross-entropy.

    Example:
        >>> network, inputs = torch.nn.Linear(3, 2), torch.rand(4, 3)
        >>> lm.estimators.Snip()(network, inputs, torch.tensor([0, 1, 0, 1])) > 0
        True
    """

    passes = 3
    needs_data = True

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score."""
        weights = layer_weights(network)
        found = gradients(F.cross_entropy(network(inputs), labels), weights)
        return sum(
            float((weight.detach() * gradient).abs().sum()) for weight, gradient in zip(weights, found, strict=True)
        )


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
"""Operations with a kink at a lower bound, which is zero for ReLU6; the kink at the upper bound is ignored."""


class Nwot(Proxy):
    """How well the signs before the ReLUs distinguish images (Mellor et al. 2021, Eq. 2).

    Entry ``(i, j)`` of the kernel counts the ReLU inputs, over all layers and pixels, that have the same sign for both
    images. The score is the logarithm of the kernel's determinant. There is no score if two images have the same signs,
    or if there is no ReLU.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 9), torch.nn.ReLU(), torch.nn.Linear(9, 2))
        >>> lm.estimators.Nwot()(network, torch.randn(4, 3), torch.tensor([0, 1, 0, 1])) > 0
        True
    """

    passes = 1
    needs_data = True

    @torch.no_grad()
    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; labels are not used."""
        with _SignCounter(len(inputs)) as counter:
            network(inputs)
        sign, logarithm = torch.linalg.slogdet(counter.kernel)
        return float(logarithm) if float(sign) > 0 else -math.inf


class _SignCounter(TorchDispatchMode):
    """Counts the equal signs of each pair of images over the ReLUs that are called, shape ``(images, images)``."""

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


class ParameterCount(Proxy):
    """Number of trainable parameters.

    Example:
        >>> lm.estimators.ParameterCount()(torch.nn.Linear(3, 2), torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))
        8.0
    """

    passes = 0
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels are not used."""
        return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


class Synflow(Proxy):
    """How much flows through all paths (Tanaka et al. 2020, Eq. 2; summed as by Abdelfattah et al. 2021).

    Sum over the weights of convolutions and linear layers of ``|w dR/dw|``. ``R`` is the sum of class scores for an
    image of ones in the network of absolute parameters. Batch-norm uses its running statistics. In a fresh network it
    is then the identity, as in the published version, which leaves it out. The precision is double, because the product
    of a deep network's layers leaves the range of single precision.

    Example:
        >>> network, inputs = torch.nn.Linear(3, 2), torch.rand(4, 3)
        >>> lm.estimators.Synflow()(network, inputs, torch.tensor([0, 1, 0, 1])) > 0
        True
    """

    passes = 3
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels are not used."""
        network.cpu().double()  # not every accelerator has double precision
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        flow = network(inputs_like(torch.ones_like(inputs[:1]).cpu(), torch.empty(0, dtype=torch.float64))).sum()
        weights = layer_weights(network)
        terms = zip(weights, gradients(flow, weights), strict=True)
        return sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in terms)
