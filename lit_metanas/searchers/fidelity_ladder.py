"""Growing shares of a full training, at which a pruner may give an architecture up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise


class FidelityLadder:
    """The fidelities of one scoring, each with the step under which a pruner is told of it.

    Steps count in units of the smallest fidelity, rounded: 1/9, 1/3 and 1 are the steps 1, 3 and 9. So a pruner's
    resources and reduction factor mean shares of the training.

    Args:
        early: fidelities at which an architecture may be given up.
        full: the fidelity of a full score.

    Raises:
        ValueError: the fidelities are not growing shares, or so close that two have one step.
    """

    def __init__(self, early: Sequence[float], full: float) -> None:
        fidelities = (*early, full)
        if not 0 < full <= 1:
            raise ValueError(f"The fidelity {full} is not a share: give a number above 0 and at most 1.")
        growing = all(low < high for low, high in pairwise(fidelities))
        if not fidelities[0] > 0 or not growing:
            raise ValueError(f"The fidelities {list(early)} must be above 0, grow, and stay below {full}.")
        self.fidelities = fidelities
        self.steps = tuple(round(fidelity / fidelities[0]) for fidelity in fidelities)
        if len(set(self.steps)) < len(self.steps):
            raise ValueError(f"The fidelities {list(fidelities)} are too close: let the second be twice the first.")

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Fidelities with their steps."""
        return iter(zip(self.fidelities, self.steps, strict=True))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.fidelities)
