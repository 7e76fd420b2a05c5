"""Probabilities of candidates, and of sampled architectures, under architecture logits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import PRUNED
from lit_metanas.spaces.mixture import Mixture


def without_pruned(logits: Tensor) -> Tensor:
    """Replace the logits of pruned candidates by minus infinity, through which no gradient flows."""
    return logits.masked_fill(logits <= PRUNED / 2, float("-inf"))


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Softmax over the candidates that are left; exactly 0 for pruned ones.

    Args:
        logits: shape ``(labels,)``; at least one is not pruned.
        temperature: divides the logits.

    Returns:
        Shape ``(labels,)``, summing to one.
    """
    return torch.softmax(without_pruned(logits) / temperature, dim=-1)


def perturbed(logits: Tensor, noise: Tensor) -> Tensor:
    """Logits plus standard Gumbel noise; their argmax is a draw from ``softmax(logits)``.

    Args:
        logits: shape ``(labels,)``.
        noise: uniform numbers in (0, 1), shape ``(labels,)``.

    Returns:
        Shape ``(labels,)``; minus infinity for pruned candidates.
    """
    # In half precision a number near one would be one, and its Gumbel noise infinite.
    noise = noise.to(torch.promote_types(noise.dtype, logits.dtype))
    return without_pruned(logits) - torch.log(-torch.log(noise)).to(logits.dtype)


def hard(scores: Tensor) -> Tensor:
    """One at the largest score and zero elsewhere, without gradient; shape ``(labels,)`` in and out."""
    places = torch.arange(scores.shape[-1], device=scores.device)
    return (places == scores.argmax(dim=-1, keepdim=True)).to(scores.dtype)


def log_probability(logits: Mapping[str, Tensor], mixture: Mixture) -> Tensor:
    """Log-probability of the child that a mixture computes, under independent ``softmax(logits)``.

    Args:
        logits: for each choice, shape ``(labels,)``.
        mixture: gates with an index, as a discrete relaxation makes them.

    Returns:
        A scalar: the sum over choices of more than one label.
    """
    total = torch.zeros(())
    for name, value in logits.items():
        index = mixture[name].index
        assert index is not None, f"choice {name} is mixed, not sampled"
        if len(value) > 1:
            total = total.to(value) + torch.log_softmax(without_pruned(value), dim=-1)[index]
    return total
