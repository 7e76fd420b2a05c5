"""How an inner step uses a gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

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
