"""Discrete relaxations, which compute one candidate of each choice."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import ChoicewiseRelaxation, LinearTemperature, Relaxation, hard, perturb
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace


class Argmax(ChoicewiseRelaxation):
    """Compute the candidate with the largest logit, without gradient.

    Example:
        >>> lm.relaxations.Argmax()({"kernel": torch.tensor([0.0, 1.0])}, {}, progress=0.0)["kernel"].index
        1
    """

    discrete = True

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Take the best candidate; ``noise`` and ``progress`` are not used."""
        weights = hard(logits.detach())
        return Gate(weights, int(weights.argmax()))


class Derived(Relaxation):
    """Compute the architecture that the space derives from all logits together.

    It need not have the largest logit of each choice.

    Args:
        space: derives the architecture.

    Example:
        >>> space = lm.LayeredSpace(shared=True)
        >>> logits = {choice.name: torch.arange(float(len(choice.labels))) for choice in space.choices}
        >>> lm.relaxations.Derived(space)(logits, {}, progress=0.0)["kernel"].weights
        tensor([0., 0., 1.])
    """

    discrete = True

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Derive; ``noise`` and ``progress`` are not used, and no gradient flows."""
        architecture = self.space.derive({name: value.detach() for name, value in logits.items()})
        gates = one_hot(self.space.choices, architecture)
        return {name: Gate(gate.weights.to(logits[name]), gate.index) for name, gate in gates.items()}


class SampledChild(ChoicewiseRelaxation):
    """Sample a candidate by Gumbel-max and compute only that one (Dong and Yang 2019, GDAS, Eq. 6 and 7).

    The chosen weight is exactly one. Its gradient is that of ``softmax((logits + Gumbel noise) / temperature)`` at the
    chosen place. In the paper the temperature falls linearly from 10 to 0.1.

    The gate scales an output. A later normalisation cancels this scale, and its gradient, if only scale-preserving maps
    (convolution, pooling, ReLU) lie between. The logits then make a random walk. This happens to most choices of a
    single block in the layered space. It does not happen to choices that blocks share, nor to the nodes of a cell,
    which sum several gated outputs.

    Args:
        temperature: of the soft weights that give the gradient, at progress 0.
        end: temperature at progress 1; None keeps ``temperature``.

    Example:
        >>> relaxation = lm.relaxations.SampledChild(temperature=10.0, end=0.1)
        >>> logits, noise = {"kernel": torch.tensor([0.0, 1.0])}, {"kernel": torch.tensor([0.5, 0.5])}
        >>> relaxation(logits, noise, progress=0.0)["kernel"].index
        1
    """

    discrete = True

    def __init__(self, *, temperature: float = 1.0, end: float | None = None) -> None:
        self.temperature = temperature
        self.end = end
        self._schedule = LinearTemperature(temperature, temperature if end is None else end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate."""
        scores = perturb(logits, noise)
        soft = torch.softmax(scores / self._schedule(progress), dim=-1)
        return Gate(hard(scores) + (soft - soft.detach()), int(scores.argmax()))
