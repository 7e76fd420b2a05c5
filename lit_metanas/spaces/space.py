"""The search space: a set of choices, and how to build networks from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.mixture import Mixture

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Shape = tuple[int, int, int]
"""Channels, height and width of one input."""


@dataclass(frozen=True)
class NetworkCost:
    """Size of a network: trainable ``parameters``, and ``flops``: forward multiply-adds for one input."""

    parameters: int
    flops: int


class Supernet(nn.Module, ABC):
    """The weight-sharing network that holds all candidates of a space.

    Attributes:
        features: length of the feature vector that ``forward`` returns.
    """

    features: int

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed inputs.

        Args:
            inputs: shape ``(n, channels, height, width)``.
            mixture: a gate for every choice of the space.
            noise: what ``draw_noise`` gave for ``n`` examples; None switches dropout off.
            statistics: batch-norm means and variances to normalise with; None takes those of this batch.
            record: filled with this batch's batch-norm means and variances when given.

        Returns:
            Features, shape ``(n, features)``.
        """

    @abstractmethod
    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the uniform numbers in [0, 1) from which dropout masks are made, for ``examples`` inputs."""

    @abstractmethod
    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""


def inherit(weights: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut the parameters of a larger supernet to those of a restricted one.

    Args:
        weights: parameters of the supernet of the whole space.
        target: parameters of the supernet of the restricted space, for their names and shapes.

    Returns:
        For each name in ``target`` the leading slice of the larger parameter.

    Raises:
        ValueError: a parameter is missing or too small.
    """
    cut = {}
    for name, value in target.items():
        source = weights.get(name)
        if (
            source is None
            or source.dim() != value.dim()
            or any(a < b for a, b in zip(source.shape, value.shape, strict=True))
        ):
            raise ValueError(f"The weights do not hold '{name}' {tuple(value.shape)}: they come from another space.")
        cut[name] = source[tuple(slice(size) for size in value.shape)].clone()
    return cut


class SearchSpace(ABC):
    """A set of choices and how to build a network from them.

    Attributes:
        choices: the open questions, in a fixed order.
    """

    choices: tuple[Choice, ...]

    @abstractmethod
    def supernet(self, shape: Shape) -> Supernet:
        """Build the network that holds all candidates, for inputs of ``shape``."""

    @abstractmethod
    def child(
        self,
        architecture: Architecture,
        shape: Shape,
        way: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> nn.Module:
        """Build the plain network that ``architecture`` describes: images in, ``(n, way)`` scores out.

        Args:
            architecture: one label for each active choice.
            shape: channels, height and width of an input.
            way: number of classes.
            weights: a supernet's parameters to inherit; batch-norm statistics, too, where they are among them.
        """

    def learned(self, child: nn.Module) -> dict[str, Tensor]:
        """What a trained child holds, under the names by which ``child(..., weights=...)`` inherits it.

        Tensors may be leading slices of the supernet's. Empty where a space cannot tell: nothing is inherited then.
        """
        del child
        return {}

    @abstractmethod
    def restricted(self, labels: Mapping[str, str]) -> SearchSpace:
        """The space in which the named choices have just the given label.

        Its supernet's parameters are a subset (by name; by slice for widths) of this space's.
        """

    @abstractmethod
    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child network."""

    @property
    def name(self) -> str:
        """The space's name in results."""
        return type(self).__name__

    @property
    def size(self) -> int:
        """Number of combinations of labels, inactive choices counted too."""
        return prod(len(choice.labels) for choice in self.choices)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """Drop inactive choices. Two equal networks have one canonical architecture.

        Raises:
            ValueError: a choice is missing or unknown, or a label is not among its candidates.
        """
        known = {choice.name: choice for choice in self.choices}
        for name, label in labels.items():
            if name not in known:
                raise ValueError(f"Unknown choice '{name}': {self.name} has {', '.join(known)}.")
            if label not in known[name].labels:
                raise ValueError(f"Choice '{name}' has no label '{label}': use {', '.join(known[name].labels)}.")
        kept: dict[str, str] = {}
        for choice in self.choices:
            if not choice.active(kept):
                continue
            if choice.name not in labels:
                raise ValueError(f"Choice '{choice.name}' is missing: use one of {', '.join(choice.labels)}.")
            kept[choice.name] = labels[choice.name]
        return Architecture(kept)

    def by_choice(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Spell out labels that are given for a whole group: a group's label goes to its choices not named themselves.

        Names that are neither a choice nor a group are left for ``canonical`` or ``restricted`` to refuse.
        """
        spelled = dict(labels)
        for choice in self.choices:
            if choice.group in labels and choice.group != choice.name:
                spelled.setdefault(choice.name, labels[choice.group])
                spelled.pop(choice.group, None)
        return spelled

    def violation(self, architecture: Architecture) -> str | None:
        """Why ``architecture`` cannot be built, or None."""
        del architecture
        return None

    def derive(self, logits: Mapping[str, Tensor]) -> Architecture:
        """The architecture of the largest logits (``(labels,)`` for each choice)."""
        return self.canonical({c.name: c.labels[int(logits[c.name].argmax())] for c in self.choices})

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw every choice uniformly."""
        draw = {c.name: c.labels[int(torch.randint(len(c.labels), (), generator=generator))] for c in self.choices}
        return self.canonical(draw)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distributions of all choices, under the prefix ``arch.``."""
        from optuna.distributions import CategoricalDistribution

        return {f"arch.{choice.name}": CategoricalDistribution(choice.labels) for choice in self.choices}

    def suggest(self, trial: Trial) -> Architecture:
        """Ask a trial for every choice, active or not, and return the canonical architecture."""
        return self.canonical(
            {choice.name: trial.suggest_categorical(f"arch.{choice.name}", choice.labels) for choice in self.choices}
        )
