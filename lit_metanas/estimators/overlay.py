"""Weights of one architecture laid over those of another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lit_metanas.spaces.space import SearchSpace, Shape


def fresh_weights(space: SearchSpace, shape: Shape, seed: int) -> dict[str, Tensor]:
    """Newly initialised parameters of the space's supernet, a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        supernet: nn.Module = space.supernet(shape)
    return {name: parameter.detach() for name, parameter in supernet.named_parameters()}


def overlay(base: Mapping[str, Tensor], top: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lay ``top`` over ``base``: a tensor of the same name covers the leading part that both have.

    So a narrow layer is written into the leading channels of the wide one, and a wide one lends its leading
    channels. Names that ``base`` lacks are added, and so are tensors with another number of dimensions.
    """
    result = dict(base)
    for name, tensor in top.items():
        below = result.get(name)
        if below is None or below.shape == tensor.shape or below.dim() != tensor.dim():
            result[name] = tensor.detach()
            continue
        part = tuple(slice(min(old, new)) for old, new in zip(below.shape, tensor.shape, strict=True))
        merged = below.detach().clone()
        merged[part] = tensor.detach()[part].to(merged)
        result[name] = merged
    return result
