"""Proxies that look at the size of a network or of its weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.estimators.proxy import Proxy, layer_weights


class L2Norm(Proxy):
    """Sum over convolutions and linear layers of the norm of their weights (Abdelfattah et al. 2021)."""

    passes = 0
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels do not matter."""
        del inputs, labels
        return sum(float(weight.detach().norm()) for weight in layer_weights(network))


class ParameterCount(Proxy):
    """Number of trainable parameters."""

    passes = 0
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels do not matter."""
        del inputs, labels
        return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


class FlopCount(Proxy):
    """Forward multiply-adds of convolutions and matrix products for one image, counted without computing them."""

    passes = 0
    needs_data = False

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; images and labels do not matter."""
        del labels
        with FlopCounterMode(display=False) as counter:
            network.to("meta")(inputs[:1].to("meta"))
        return counter.get_total_flops() / 2
