"""Update rules of the inner loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


class UpdateRule(ABC):
    """A differentiable optimizer without state of its own."""

    @abstractmethod
    def start(self, values: Tensors) -> Tensors:
        """The state before the first step."""

    @abstractmethod
    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, Tensor | float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Make a step.

        Args:
            values: tensors by name.
            gradients: their gradients.
            state: what ``start`` or the last step gave.
            rates: a learning rate for each.
            step: number of the step, from 0.

        Returns:
            New values and new state.
        """


class SGD(UpdateRule):
    """Gradient descent, with momentum as in ``torch.optim.SGD``.

    Args:
        momentum: share of the last step's direction that is kept, in [0, 1).
    """

    def __init__(self, *, momentum: float = 0.0) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD momentum {momentum} is outside [0, 1): give a share such as 0.9.")
        self.momentum = momentum

    def start(self, values: Tensors) -> Tensors:
        """Velocities of zero where there is momentum."""
        return {name: torch.zeros_like(value) for name, value in values.items()} if self.momentum else {}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, Tensor | float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the velocity."""
        del step
        if self.momentum:
            gradients = state = {name: self.momentum * state[name] + gradients[name] for name in values}
        return {name: value - rates[name] * gradients[name] for name, value in values.items()}, state


class Adam(UpdateRule):
    """Adam (Kingma and Ba 2015, Algorithm 1), differentiable.

    Departure from the paper: ``epsilon`` stands under the root, squared, since the root has no derivative at zero.

    Args:
        beta1: decay of the gradient's mean.
        beta2: decay of its mean square.
        epsilon: smallest divisor.
    """

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def start(self, values: Tensors) -> Tensors:
        """Both moments of zero."""
        return {f"{moment}.{name}": torch.zeros_like(value) for moment in "mv" for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, Tensor | float], step: int
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
