"""No adaptation by gradients."""

from __future__ import annotations

from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.parameters import Group, Parameters


class NoInnerLoop(InnerLoop):
    """Leave the parameters as they are: the head's start, or its comparison with the support set, is all."""

    def __init__(self) -> None:
        super().__init__(steps=0)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Nothing moves."""
        return ()

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Return the tree."""
        del adaptation
        return parameters
