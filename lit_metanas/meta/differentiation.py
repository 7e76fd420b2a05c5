"""Differentiation: gradients by autograd, update rules that have derivatives, and the mean over tasks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from lit_metanas.inputs.batches import float32
from lit_metanas.meta.learner import Parameters, TaskNoise, Tensors
from lit_metanas.spaces.operations import differentiated_twice
from lit_metanas.tasks.task import Episode


class Differentiation:
    """Takes gradients, which can themselves be differentiated if ``second_order``, and are constants otherwise.

    Those that are differentiated are computed without autocast: of bf16 a second derivative has too few digits.
    """

    def __init__(self, *, second_order: bool = False) -> None:
        self.second_order = second_order

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Give the gradients of a function's first value by name (zeros if unused), and the function's second value."""
        keep = self.second_order
        leaves = {name: _leaf(value, keep) for name, value in at.items()}
        with ExitStack() as modes:
            modes.enter_context(torch.enable_grad())
            if keep and leaves:
                modes.enter_context(float32(next(iter(leaves.values())).device))
            if keep:
                modes.enter_context(differentiated_twice())
            loss, further = function(leaves)
        if not leaves or not loss.requires_grad:
            return {name: torch.zeros_like(value) for name, value in leaves.items()}, further
        gradients = torch.autograd.grad(
            loss, tuple(leaves.values()), create_graph=keep, allow_unused=True, materialize_grads=True
        )
        return dict(zip(leaves, gradients, strict=True)), further


def _leaf(value: Tensor, keep_graph: bool) -> Tensor:
    """The tensor that a gradient is taken for."""
    if keep_graph and value.requires_grad:
        # A view: a head made from class means would otherwise pass its gradient on to the weights.
        return value.view_as(value)
    return value.detach().requires_grad_()


class UpdateRule(ABC):
    """A differentiable optimizer without state of its own.

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, rule=lm.meta.SGD(momentum=0.9))
        >>> isinstance(loop.rule, lm.meta.UpdateRule)
        True
    """

    @abstractmethod
    def start(self, values: Tensors) -> Tensors:
        """The state before the first step."""

    @abstractmethod
    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Make a step.

        Args:
            values: tensors by name.
            gradients: their gradients.
            state: from ``start`` or the last step.
            rates: a learning rate for each.
            step: number of the step, from 0.

        Returns:
            New values and new state.
        """


class SGD(UpdateRule):
    """Gradient descent, with momentum as in ``torch.optim.SGD``.

    Args:
        momentum: share of the last step's direction that is kept, in [0, 1).

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, learning_rate=0.1, rule=lm.meta.SGD(momentum=0.9))
    """

    def __init__(self, *, momentum: float = 0.0) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD momentum {momentum} is outside [0, 1): give a share such as 0.9.")
        self.momentum = momentum

    def start(self, values: Tensors) -> Tensors:
        """Velocities of zero, or nothing without momentum."""
        if not self.momentum:
            return {}
        return {name: torch.zeros_like(value) for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the velocity."""
        if self.momentum:
            gradients = state = {name: self.momentum * state[name] + gradients[name] for name in values}
        moved = {name: torch.sub(value, gradients[name], alpha=rates[name]) for name, value in values.items()}
        return moved, state


class Adam(UpdateRule):
    """Adam (Kingma and Ba 2015, Algorithm 1), differentiable.

    Departure from the paper: ``epsilon`` stands under the root, squared, since the root has no derivative at zero.

    Args:
        beta1: decay of the gradient's mean.
        beta2: decay of its mean square.
        epsilon: smallest divisor.

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, learning_rate=1e-3, rule=lm.meta.Adam(beta1=0.5))
    """

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def start(self, values: Tensors) -> Tensors:
        """Both moments of zero."""
        return {f"{moment}.{name}": torch.zeros_like(value) for moment in "mv" for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the mean over the root mean square."""
        moved: Tensors = {}
        moments: Tensors = {}
        for name, value in values.items():
            mean = self.beta1 * state[f"m.{name}"] + (1 - self.beta1) * gradients[name]
            square = self.beta2 * state[f"v.{name}"] + (1 - self.beta2) * gradients[name].square()
            moments[f"m.{name}"], moments[f"v.{name}"] = mean, square
            size = (square / (1 - self.beta2 ** (step + 1)) + self.epsilon**2).sqrt()
            moved[name] = value - rates[name] * (mean / (1 - self.beta1 ** (step + 1))) / size
        return moved, moments


Metrics = dict[str, Tensor]
TaskFunction = Callable[[Episode, TaskNoise], tuple[Parameters, Metrics]]


def mean_over_tasks(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """Mean of the gradients over tasks in turn, and their stacked metrics; a task that is not ``finite`` adds zeros."""
    total: Parameters | None = None
    rows: list[Metrics] = []
    for episode, noise in zip(episodes, noises, strict=True):
        gradients, metrics = function(episode, noise)
        rows.append({**metrics, "finite": _finite(gradients, metrics["losses"])})
        if not rows[-1]["finite"]:
            gradients = gradients.map(torch.zeros_like)
        if total is not None:
            gradients = total.map(torch.add, gradients)
        total = gradients
    assert total is not None, "no episodes"
    if len(rows) > 1:
        total = total.map(lambda value: value / len(rows))
    return total, {k: torch.stack([row[k] for row in rows]) for k in rows[0]}


def _finite(gradients: Parameters, loss: Tensor) -> Tensor:
    """1 if a task's loss and gradient are finite, else 0, as a scalar of the loss's type."""
    values = torch.cat([value.reshape(-1) for value in (*gradients.flat().values(), loss)])
    return (values.abs().amax() < math.inf).to(loss.dtype)  # amax gives NaN if there is one, and NaN < inf is false
