"""The one tree of meta-parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

from torch import Tensor

Group = Literal["weights", "logits", "head", "rates"]
"""A part of the tree."""


class Parameters(NamedTuple):
    """Weights, logits and head of a learner: a pytree for ``torch.func``.

    Attributes:
        weights: the supernet's parameters by name.
        logits: architecture logits by choice, each of shape ``(labels,)``.
        head: the head's parameters; empty for a head that is made anew from each support set.
        rates: learned inner learning rates (scalars) as ``InnerLoop.initial_rates`` names them; empty where the inner
            loop's own constants are used.
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    head: dict[str, Tensor]
    rates: dict[str, Tensor] = {}  # noqa: RUF012 (never changed in place)

    def flat(self, groups: Collection[Group] = ("weights", "logits", "head", "rates")) -> dict[str, Tensor]:
        """The tensors of some groups under the names ``group.name``."""
        trees = {"weights": self.weights, "logits": self.logits, "head": self.head, "rates": self.rates}
        return {f"{group}.{name}": value for group in groups for name, value in trees[group].items()}

    def updated(self, flat: dict[str, Tensor]) -> Parameters:
        """The tree with the tensors of ``flat`` (names as from ``flat()``) in place of its own."""
        return Parameters(
            {name: flat.get(f"weights.{name}", value) for name, value in self.weights.items()},
            {name: flat.get(f"logits.{name}", value) for name, value in self.logits.items()},
            {name: flat.get(f"head.{name}", value) for name, value in self.head.items()},
            {name: flat.get(f"rates.{name}", value) for name, value in self.rates.items()},
        )

    def mapped(self, function: Callable[..., Tensor], *others: Parameters) -> Parameters:
        """Apply ``function`` to each tensor and its namesakes in trees of the same structure."""
        flats = [other.flat() for other in others]
        return self.updated({key: function(value, *(f[key] for f in flats)) for key, value in self.flat().items()})
