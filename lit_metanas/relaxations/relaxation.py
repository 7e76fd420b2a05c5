"""Relaxations of architecture logits: soft ones mix all candidates, discrete ones compute one of each choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace

PRUNED = -1e4
"""A logit at or below half of this value belongs to a pruned candidate: never mixed, never sampled."""


@keeps_arguments()
class Relaxation(ABC):
    """Turns architecture logits into a mixture. It is a pure function of its arguments.

    Attributes:
        discrete: whether only one candidate of each choice is computed. ``Gate.index`` is then set. The index is read
            from the logits' values, so such a relaxation runs task by task, never under ``vmap``.

    Example:
        >>> relaxation = lm.relaxations.GumbelSoftmax()
        >>> logits = {"kernel": torch.zeros(3)}
        >>> noise = relaxation.draw_noise(logits, torch.Generator().manual_seed(0))
        >>> relaxation(logits, noise, progress=0.5)["kernel"].weights.shape
        torch.Size([3])
    """

    discrete: bool = False

    @abstractmethod
    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Make the mixture of some logits.

        Args:
            logits: for each choice, shape ``(labels,)``.
            noise: for each choice, uniform numbers in (0, 1), shape ``(labels,)``; deterministic relaxations ignore
                them.
            progress: place in the (inner or outer) schedule, from 0 to 1.
        """

    def draw_noise(self, logits: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the uniform numbers that ``__call__`` takes."""
        sizes = [len(value) for value in logits.values()]
        device = next((value.device for value in logits.values()), None)
        # One draw gives the same numbers as a draw for each choice in turn.
        drawn = torch.rand(sum(sizes), generator=generator).clamp_(min=torch.finfo(torch.float32).tiny).to(device)
        return dict(zip(logits, drawn.split(sizes), strict=True))


class ChoicewiseRelaxation(Relaxation):
    """Relaxes one choice after another. A choice with a single label gets one shared gate.

    Example:
        >>> class Sharp(lm.relaxations.ChoicewiseRelaxation):
        ...     def gate(self, logits, noise, progress):
        ...         return lm.spaces.Gate((3 * logits).softmax(0))
        >>> Sharp()({"kernel": torch.tensor([0.0, 1.0])}, {}, progress=0.0)["kernel"].weights
        tensor([0.0474, 0.9526])
    """

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Relax every choice."""
        missing = torch.empty(0)
        certain: Gate | None = None
        mixture: dict[str, Gate] = {}
        for name, value in logits.items():
            if len(value) > 1:
                mixture[name] = self.gate(value, noise.get(name, missing), progress)
            else:
                mixture[name] = certain = certain or Gate(torch.ones_like(value), 0)
        return mixture

    @abstractmethod
    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Relax one choice of several labels.

        Args:
            logits: shape ``(labels,)``.
            noise: uniform numbers in (0, 1), shape ``(labels,)``.
            progress: place in the schedule, from 0 to 1.
        """


def without_pruned(logits: Tensor) -> Tensor:
    """Replace the logits of pruned candidates by minus infinity, through which no gradient flows."""
    return logits.masked_fill(logits <= PRUNED / 2, float("-inf"))


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Softmax over the candidates that are left; exactly 0 for pruned ones.

    Args:
        logits: shape ``(labels,)``; at least one is not pruned.
        temperature: divides the logits.

    Returns:
        Shape ``(labels,)``, summing to one.

    Example:
        >>> lm.relaxations.probabilities(torch.tensor([0.0, 0.0, lm.relaxations.PRUNED]))
        tensor([0.5000, 0.5000, 0.0000])
    """
    return torch.softmax(without_pruned(logits) / temperature, dim=-1)


def perturb(logits: Tensor, noise: Tensor) -> Tensor:
    """Logits ``(labels,)`` plus standard Gumbel noise, whose argmax is a draw from ``softmax(logits)``."""
    # In half precision a number near one would round to one, and its Gumbel noise would be infinite.
    noise = noise.to(torch.promote_types(noise.dtype, logits.dtype))
    return without_pruned(logits) - torch.log(-torch.log(noise)).to(logits.dtype)


def hard(scores: Tensor) -> Tensor:
    """One at the largest score and zero elsewhere, without gradient; shape ``(labels,)`` in and out."""
    places = torch.arange(scores.shape[-1], device=scores.device)
    return (places == scores.argmax(dim=-1, keepdim=True)).to(scores.dtype)


def _straight_through(scores: Tensor, temperature: float) -> Tensor:
    # One-hot weights, with the gradient of the softmax.
    soft = torch.softmax(scores / temperature, dim=-1)
    return hard(scores) + (soft - soft.detach())


@dataclass(frozen=True)
class LinearTemperature:
    """A temperature that goes linearly from ``start`` at progress 0 to ``end`` at progress 1."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if self.start <= 0 or self.end <= 0:
            told = " to ".join(dict.fromkeys((f"{self.start}", f"{self.end}")))
            raise ValueError(f"Temperature {told} is not positive: give numbers above 0.")

    def __call__(self, progress: float) -> float:
        """The temperature at ``progress``, which is clamped to [0, 1]."""
        return self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)


class Softmax(ChoicewiseRelaxation):
    """Mix all candidates by the softmax of their logits (Liu et al. 2019, DARTS, Eq. 2).

    Args:
        temperature: divides the logits; smaller is closer to one candidate.

    Example:
        >>> lm.relaxations.Softmax()({"kernel": torch.tensor([0.0, 1.0])}, {}, progress=0.0)["kernel"].weights
        tensor([0.2689, 0.7311])
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = LinearTemperature(temperature, temperature)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix; ``noise`` is not used."""
        return Gate(probabilities(logits, self.temperature(progress)))


class AnnealedSoftmax(ChoicewiseRelaxation):
    """Mix all candidates by a softmax whose temperature falls linearly (Elsken et al. 2020, MetaNAS, Section 3.3).

    An inner loop that restarts progress for every task gives MetaNAS's soft pruning: the mixture is nearly one
    candidate by the end of the task.

    Args:
        start: temperature at progress 0.
        end: temperature at progress 1.

    Example:
        >>> relaxation = lm.relaxations.AnnealedSoftmax(start=1.0, end=0.1)
        >>> relaxation({"kernel": torch.tensor([0.0, 1.0])}, {}, progress=1.0)["kernel"].weights
        tensor([4.5398e-05, 9.9995e-01])
    """

    def __init__(self, *, start: float = 1.0, end: float = 0.1) -> None:
        self.temperature = LinearTemperature(start, end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix; ``noise`` is not used."""
        return Gate(probabilities(logits, self.temperature(progress)))


class GumbelSoftmax(ChoicewiseRelaxation):
    """Mix by the softmax of logits plus Gumbel noise (Jang et al. 2017, Eq. 2; Xie et al. 2019, SNAS).

    Args:
        start: temperature at progress 0.
        end: temperature at progress 1.

    Example:
        >>> relaxation, logits = lm.relaxations.GumbelSoftmax(), {"kernel": torch.tensor([0.0, 1.0])}
        >>> noise = relaxation.draw_noise(logits, torch.Generator().manual_seed(0))
        >>> len(relaxation(logits, noise, progress=0.0)["kernel"].weights)
        2
    """

    def __init__(self, *, start: float = 1.0, end: float = 0.1) -> None:
        self.temperature = LinearTemperature(start, end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix all candidates."""
        return Gate(torch.softmax(perturb(logits, noise) / self.temperature(progress), dim=-1))


class StraightThrough(ChoicewiseRelaxation):
    """Straight-through Gumbel-softmax (Jang et al. 2017, Section 2.2).

    The weights are exactly one-hot. Their gradient is that of ``softmax((logits + Gumbel noise) / temperature)``. Every
    candidate is computed, because its weight needs a gradient, so this costs as much as a soft mixture.

    Args:
        temperature: of the soft weights that give the gradient.

    Example:
        >>> logits, noise = {"kernel": torch.tensor([0.0, 1.0])}, {"kernel": torch.tensor([0.5, 0.5])}
        >>> lm.relaxations.StraightThrough()(logits, noise, progress=0.0)["kernel"].weights
        tensor([0., 1.])
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = LinearTemperature(temperature, temperature)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Choose one candidate, and compute all of them."""
        return Gate(_straight_through(perturb(logits, noise), self.temperature(progress)))


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
        gates = one_hot(self.space.choices, self.space.derive({name: own.detach() for name, own in logits.items()}))
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
        self.temperature = LinearTemperature(temperature, temperature if end is None else end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate."""
        scores = perturb(logits, noise)
        return Gate(_straight_through(scores, self.temperature(progress)), int(scores.argmax()))
