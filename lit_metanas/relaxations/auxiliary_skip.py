"""DARTS-: a fading auxiliary skip connection, against the collapse to skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import Relaxation, Softmax
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.space import SearchSpace


class AuxiliarySkip(Relaxation):
    """Adds a further skip to each edge that could be a skip, outside the competition (Chu et al. 2021, DARTS-).

    In a supernet a skip has two roles. It is a candidate, and it carries signal and gradient through a deep network,
    which is why DARTS prefers it. Here an auxiliary skip takes the second role. Its weight falls linearly from
    ``start`` to ``end`` with progress. Both skips compute the same, so the weight is added to that of the candidate,
    outside the softmax. The derived architecture has no auxiliary skip.

    The edges of the space must sum their candidates, as cells do, and the relaxation must be soft.

    Args:
        space: the space that is searched, which gives the skip of each choice.
        relaxation: makes the mixture; None is DARTS's softmax.
        labels: the labels of skips.
        start: weight of the auxiliary skip at progress 0; 1 in the paper.
        end: its weight at progress 1.

    Raises:
        ValueError: the space has no such skip, or a weight is negative.

    Example:
        >>> space = lm.spaces.DARTSCell(channels=4, cells=3)
        >>> searcher = lm.DARTSSearcher(relaxation=lm.relaxations.AuxiliarySkip(space=space))
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        relaxation: Relaxation | None = None,
        labels: Sequence[str] = ("skip_connect",),
        start: float = 1.0,
        end: float = 0.0,
    ) -> None:
        if min(start, end) < 0:
            raise ValueError(f"AuxiliarySkip: a weight from {start} to {end} is negative; give numbers of at least 0.")
        self.space = space
        self.relaxation = relaxation or Softmax()
        self.labels = tuple(labels)
        self.start, self.end = start, end
        self.places = {
            choice.name: place
            for choice in space.choices
            for place, label in enumerate(choice.labels)
            if label in self.labels and len(choice.labels) > 1
        }
        if not self.places:
            raise ValueError(
                f"AuxiliarySkip: no choice of {space.name} has a label among {', '.join(self.labels)}; name those of "
                "its skips, or leave it out."
            )

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Relax, and add the auxiliary skips.

        Raises:
            ValueError: the relaxation computes one candidate only.
        """
        weight = self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)
        mixture = dict(self.relaxation(logits, noise, progress))
        for name, place in self.places.items():
            mixture[name] = self._add(mixture[name], place, weight)
        return mixture

    def draw_noise(self, logits: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the noise of the inner relaxation."""
        return self.relaxation.draw_noise(logits, generator)

    def _add(self, gate: Gate, place: int, weight: float) -> Gate:
        if gate.index is not None:
            raise ValueError(
                f"AuxiliarySkip adds to a mixture of all candidates, and {type(self.relaxation).__name__} computes "
                "one: take a soft relaxation, such as Softmax."
            )
        extra = torch.zeros_like(gate.weights)
        extra[place] = weight
        return replace(gate, weights=gate.weights + extra)
