"""How a loss is differentiated with respect to named tensors: by autograd, or by ``torch.func`` under ``vmap``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


class Differentiation(ABC):
    """Takes gradients, of first order (constants for all that follows) or of second order (differentiable).

    Args:
        second_order: whether the gradients can be differentiated again.
    """

    def __init__(self, *, second_order: bool = False) -> None:
        self.second_order = second_order

    @abstractmethod
    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate.

        Args:
            function: named tensors to a scalar loss and a further tensor.
            at: where; may be empty.

        Returns:
            The loss's gradients by name (zeros where it does not depend on a tensor), and the further tensor.
        """


class Autograd(Differentiation):
    """``torch.autograd.grad``: for one task after another; the least memory at first order."""

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        keep = self.second_order
        # Views, lest a head made from class means pass its gradient on to the weights as if it were no parameter.
        leaves = {k: v.view_as(v) if keep and v.requires_grad else v.detach().requires_grad_() for k, v in at.items()}
        with torch.enable_grad():
            loss, further = function(leaves)
        if not leaves or not loss.requires_grad:
            return {name: torch.zeros_like(value) for name, value in leaves.items()}, further
        gradients = torch.autograd.grad(
            loss, tuple(leaves.values()), create_graph=keep, allow_unused=True, materialize_grads=True
        )
        return dict(zip(leaves, gradients, strict=True)), further


class Functional(Differentiation):
    """``torch.func.grad``: the only right one under ``vmap``.

    ``torch.autograd.grad`` around a ``vmap`` gives silently wrong second-order gradients through batch-norm.
    """

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        if not self.second_order:
            at = {name: value.detach() for name, value in at.items()}
        gradients, further = torch.func.grad(function, has_aux=True)(at)
        if not self.second_order:
            gradients = {name: value.detach() for name, value in gradients.items()}
        return gradients, further
