"""Synaptic flow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lit_metanas.estimators.proxy import Proxy, gradients, layer_weights


class Synflow(Proxy):
    """How much flows through all paths (Tanaka et al. 2020, Eq. 2; summed as by Abdelfattah et al. 2021).

    Sum over the weights of convolutions and linear layers of ``|w dR/dw|``, where ``R`` is the sum of class scores for
    an image of ones in the network of absolute parameters. Batch-norm uses its running statistics: in a fresh network
    it is then the identity, as in the published version, which leaves it out. In double precision, for the product
    of a deep network's layers leaves the range of single precision.
    """

    passes = 3
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels do not matter."""
        del labels
        network.cpu().double()  # not every accelerator has double precision
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        flow = network(torch.ones(1, *inputs.shape[1:], dtype=torch.float64)).sum()
        weights = layer_weights(network)
        terms = zip(weights, gradients(flow, weights), strict=True)
        return sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in terms)
