"""The architecture that a space derives."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lit_metanas.relaxations.argmax import Argmax
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace


class Derived(Argmax):
    """Compute what the space derives from all logits together, which need not be the largest of each choice.

    Args:
        space: whose architecture is derived.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Derive; ``noise`` and ``progress`` are not used, and no gradient flows."""
        del noise, progress
        architecture = self.space.derive({name: value.detach() for name, value in logits.items()})
        gates = one_hot(self.space.choices, architecture)
        return {name: Gate(gate.weights.to(logits[name]), gate.index) for name, gate in gates.items()}
