"""Muon: AdamW, but hidden layers take steps that are as long in all directions of their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from lit_metanas.inputs.batches import float32

MOMENTUM = 0.95

# An orthogonal matrix is multiplied by the root of its longer side, so that its entries are 0.2 on average, as in steps
# of AdamW (Liu et al. 2025, equation 4).
STEP_LENGTH = 0.2

# Of the polynomial a x + b x³ + c x⁵, which moves singular values from (0, 1] to about 1 in five rounds (Jordan 2024).
COEFFICIENTS, NEWTON_ROUNDS = (3.4445, -4.7750, 2.0315), 5

# A layer of smaller gradients has smaller steps, and none at last: those of gradients of 1e-23 would not be numbers.
SMALLEST_NORM = 1e-7

# Rows of a matrix, or columns if these are fewer, that are made orthogonal together. With 64 a step on a CPU takes 5 to
# 10 % longer than one of AdamW. With all it takes half as long again in wide layers, and a network learns no better.
ROWS_AT_ONCE = 64


class Muon(AdamW):
    """Orthogonal steps for the weights of hidden layers, and AdamW for all others.

    The gradient of a layer mostly has a few large singular values, in whose directions alone SGD and AdamW learn. Here
    the step of a matrix is its momentum with all singular values near 1 (Jordan et al. 2024, *Muon*). A convolution is
    a matrix with a row for each channel that it writes. Embeddings, kernels of one channel, the last matrix, which
    gives the scores, and all that has one dimension are left to AdamW.

    In few epochs a convolutional network gains several points of accuracy by it. ``torch.optim.Muon`` takes no
    convolutions, and rounds to bf16, which is slow on most processors.

    Args:
        network: whose weights are trained.
        lr: the learning rate.
        weight_decay: as in AdamW.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Linear(8, 2))
        >>> lm.training.Muon(network, lr=1e-3, weight_decay=0.1).matrices[0] is network[0].weight
        True
    """

    def __init__(self, network: nn.Module, *, lr: float, weight_decay: float) -> None:
        matrices = matrices_of(network)
        orthogonal = {*matrices}
        others = [weight for weight in network.parameters() if weight not in orthogonal]
        super().__init__([{"params": others}, {"params": matrices}], lr=lr, weight_decay=weight_decay, fused=True)
        # Fused, AdamW takes scaled gradients; matrices do not, so that a GradScaler must undo its scale before.
        self._step_supports_amp_scaling = False

    @property
    def matrices(self) -> list[Tensor]:
        """The weights that take orthogonal steps."""
        return cast(list[Tensor], self.param_groups[1]["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group, gradients = self.param_groups[1], [weight.grad for weight in self.matrices]
        for weight, gradient in zip(self.matrices, gradients, strict=True):
            if gradient is not None:
                self._step_matrix(weight, gradient, group["lr"], group["weight_decay"])
                weight.grad = None  # so that AdamW passes over it
        super().step()
        for weight, gradient in zip(self.matrices, gradients, strict=True):
            weight.grad = gradient
        return loss

    def _step_matrix(self, weight: Tensor, gradient: Tensor, lr: float, weight_decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
            state["step"] = torch.zeros(())  # AdamW looks for it when it takes in a stored state
        momentum = state["momentum"].mul_(MOMENTUM).add_(gradient)
        ahead = gradient.add(momentum, alpha=MOMENTUM).flatten(1)
        length = STEP_LENGTH * max(ahead.shape) ** 0.5
        weight.mul_(1 - lr * weight_decay)
        with float32(weight.device):  # with the eight bits of bf16, the rounds diverge
            step = orthogonalised(ahead)
        weight.add_(step.view_as(weight), alpha=-lr * length)


def matrices_of(network: nn.Module) -> list[nn.Parameter]:
    """The weights of hidden layers: matrices and convolutions but embeddings, kernels of one channel, and the last."""
    tables = {table.weight for table in network.modules() if isinstance(table, nn.Embedding)}
    trained = [weight for weight in network.parameters() if weight.requires_grad and weight.dim() > 1]
    return [weight for weight in trained[:-1] if weight not in tables and weight.shape[1] > 1]


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix, shape ``(n, m)``, in blocks of its shorter side, each with singular values near 1.

    A block keeps its singular vectors. Singular values become 0.7 to 1.2, but those a thousand times as small as the
    largest one, which stay small.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    exact = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    return torch.cat([_orthogonal_block(block) for block in exact.split(ROWS_AT_ONCE)]).to(matrix.dtype)


def _orthogonal_block(block: Tensor) -> Tensor:
    block = block / block.norm().clamp(min=SMALLEST_NORM)
    a, b, c = COEFFICIENTS
    # Each round multiplies the block X by a I + b G + c G² with G = X Xᵀ. All these factors are polynomials of the
    # first G, and commute: so X, which may be ten times as large as G, is multiplied once, at the end.
    gram, factors = block @ block.T, torch.eye(len(block), dtype=block.dtype, device=block.device)
    for _ in range(NEWTON_ROUNDS):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        factors = factor @ factors
        gram = factor @ gram @ factor
    return factors @ block
