"""Hypergradients: the gradient of the validation loss by the logits, through the weights or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from lit_metanas.inputs.batches import float32
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.meta.learner import Tensors

Loss = Callable[[Tensors, Tensors], Tensor]
"""The loss of one minibatch, a scalar, as a function of weights and logits, with its noise fixed."""


@keeps_arguments()
class Hypergradient(ABC):
    """Gradient of the validation loss with respect to the logits.

    Attributes:
        train_passes: forward-backward passes over the train minibatch.
        val_passes: forward-backward passes over the validation minibatch.

    Example:
        >>> gradient: lm.training.Hypergradient = lm.training.SecondOrder()
        >>> searcher = lm.DARTSSearcher(gradient=gradient)
    """

    train_passes: int
    val_passes: int

    @abstractmethod
    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient.

        Args:
            train_loss: loss of the train minibatch.
            val_loss: loss of the validation minibatch.
            weights: the current weights, requiring gradients.
            logits: the current logits, requiring gradients.
            rate: the weights' current learning rate.

        Returns:
            One gradient a choice, zeros where the loss does not depend on it.
        """


class FirstOrder(Hypergradient):
    """The gradient at the current weights, as if these were optimal already (Liu et al. 2019, Eq. 6 with xi = 0).

    Example:
        >>> searcher = lm.DARTSSearcher(gradient=lm.training.FirstOrder())
    """

    train_passes = 0
    val_passes = 1

    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient."""
        return _gradient(val_loss(weights, logits), logits)


class SecondOrder(Hypergradient):
    """The gradient through one step of the weights (Liu et al. 2019, Eq. 6 to 8).

    With ``w' = w - xi dL_train/dw`` and ``v = dL_val/dw'`` it is ``dL_val(w')/da - xi H v``, where the product of the
    mixed second derivatives with ``v`` is the central difference of ``dL_train/da`` at ``w + e v`` and ``w - e v``,
    divided by ``2 e``. The step is plain gradient descent, as in the paper: no momentum, no weight decay.

    Args:
        epsilon: ``e`` is this divided by the norm of ``v`` (0.01 in the paper).

    Example:
        >>> searcher = lm.DARTSSearcher(gradient=lm.training.SecondOrder(epsilon=0.01))
    """

    train_passes = 3
    val_passes = 1

    def __init__(self, *, epsilon: float = 0.01) -> None:
        if epsilon <= 0:
            raise ValueError(f"The step of the finite difference is {epsilon}: give a positive number.")
        self.epsilon = epsilon

    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient, without autocast: bf16 does not tell ``w + e v`` from ``w``."""
        with float32(next(iter(weights.values())).device):
            slope = _gradient(train_loss(weights, logits), weights)
            ahead = {n: (w.detach() - rate * slope[n]).requires_grad_() for n, w in weights.items()}
            both = _gradient(
                val_loss(ahead, logits),
                {f"w {n}": w for n, w in ahead.items()} | {f"a {n}": a for n, a in logits.items()},
            )
            direct = {name: both[f"a {name}"] for name in logits}
            vector = {name: both[f"w {name}"] for name in ahead}
            norm = torch.stack([value.square().sum() for value in vector.values()]).sum().sqrt()
            if not norm > 0:
                return direct
            step = self.epsilon / norm
            near = ({n: w.detach() + sign * step * vector[n] for n, w in weights.items()} for sign in (1, -1))
            plus, minus = (_gradient(train_loss(each, logits), logits) for each in near)
            return {name: direct[name] - rate * (plus[name] - minus[name]) / (2 * step) for name in logits}


def _gradient(loss: Tensor, inputs: Tensors) -> Tensors:
    """Gradients by name; zeros where the loss does not depend on an input."""
    if not loss.requires_grad:
        return {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    slopes = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(inputs, slopes, strict=True))
