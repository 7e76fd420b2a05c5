"""Search spaces whose children tell what they have learned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Self

from torch import Tensor, nn

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.restriction import restrict
from lit_metanas.spaces.space import SearchSpace, Shape


class ChildSpace(SearchSpace):
    """A search space whose children are ``ChildNetwork`` modules, and that differs from a restricted one in choices."""

    @abstractmethod
    def build(self, architecture: Architecture, shape: Shape, way: int) -> ChildNetwork:
        """The child with newly initialised weights: see ``child``."""

    def child(
        self,
        architecture: Architecture,
        shape: Shape,
        way: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> ChildNetwork:
        """Build the plain network. Its classifiers inherit where they fit ``way`` classes.

        Raises:
            ValueError: the architecture cannot be built, or the weights are of another space.
        """
        child = self.build(architecture, shape, way)
        if weights is not None:
            child.inherit(weights)
        return child

    def learned(self, child: nn.Module) -> dict[str, Tensor]:
        """What a trained child holds, under the supernet's names; scales and shifts, too, for further children."""
        assert isinstance(child, ChildNetwork)
        return child.learned()

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label.

        Raises:
            ValueError: a choice is unknown, or the label is not among its candidates that are left.
        """
        space = copy(self)
        space.choices = restrict(self.choices, {name: (label,) for name, label in labels.items()}, self.name)
        return space
