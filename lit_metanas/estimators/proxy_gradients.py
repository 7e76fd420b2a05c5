"""Proxies that look at the gradient of the loss."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.estimators.proxy import Proxy, gradients, layer_weights


class Snip(Proxy):
    """Sensitivity of the loss to leaving single weights out (Lee et al. 2019, Eq. 6; Abdelfattah et al. 2021).

    Sum over the weights of convolutions and linear layers of ``|w dL/dw|``, which is the size of the gradient of a
    mask of ones; ``L`` is the mean cross-entropy.
    """

    passes = 3
    needs_data = True

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score."""
        weights, found = _loss_gradients(network, inputs, labels)
        return sum(
            float((weight.detach() * gradient).abs().sum()) for weight, gradient in zip(weights, found, strict=True)
        )


class GradNorm(Proxy):
    """Sum over convolutions and linear layers of the norm of the loss's gradient (Abdelfattah et al. 2021)."""

    passes = 3
    needs_data = True

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score."""
        return sum(float(gradient.norm()) for gradient in _loss_gradients(network, inputs, labels)[1])


def _loss_gradients(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    weights = layer_weights(network)
    return weights, gradients(F.cross_entropy(network(inputs), labels), weights)
