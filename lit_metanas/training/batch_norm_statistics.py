"""Batch-norm statistics of an architecture within a supernet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from lit_metanas.spaces.supernet import Mixture, Supernet


@torch.no_grad()
def embed_and_record(
    supernet: Supernet, weights: Mapping[str, Tensor], mixture: Mixture, inputs: Tensor, batch_size: int = 500
) -> tuple[Tensor, dict[str, Tensor]]:
    """Embed inputs in batches, each normalised by itself, and pool their means and variances.

    Args:
        supernet: the network that ``weights`` belong to.
        weights: its parameters.
        mixture: which candidates are computed.
        inputs: shape ``(n, channels, height, width)``.
        batch_size: inputs embedded at once.

    Returns:
        Features of shape ``(n, features)``, and the statistics ``<layer>.mean`` and ``<layer>.var``.
    """
    parts = -(-len(inputs) // batch_size)
    features = torch.empty(0)
    sums: dict[str, Tensor] = {}
    for part in range(parts):
        record: dict[str, Tensor] = {}
        # Every ``parts``-th input: examples ordered by class would give batches of few classes.
        batch = inputs[part::parts]
        embedded = functional_call(supernet, dict(weights), (batch, mixture), {"record": record}, tie_weights=False)
        if not part:
            features = embedded.new_empty(len(inputs), embedded.shape[1])
        features[part::parts] = embedded
        share = len(batch) / len(inputs)
        for name, value in record.items():
            if name.endswith(".var"):  # to second moments, which can be pooled
                value = value + record[f"{name.removesuffix('.var')}.mean"] ** 2
            sums[name] = sums.get(name, torch.zeros_like(value)) + share * value
    for name in sums:
        if name.endswith(".var"):
            sums[name] = (sums[name] - sums[f"{name.removesuffix('.var')}.mean"] ** 2).clamp_min(0)
    return features, sums
