"""Zero-cost proxies: synflow, the number of parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor, nn

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
        # Without biases, as the published proxies sum.
        weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        found = torch.autograd.grad(flow, weights, allow_unused=True, materialize_grads=True)
        terms = zip(weights, found, strict=True)
        return sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in terms)
