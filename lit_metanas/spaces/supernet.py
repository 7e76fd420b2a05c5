"""The supernet, which holds all candidates of a space, and the child network, which holds one of each choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from operator import lt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lit_metanas.spaces.mixture import ForwardPass, Mixture, Record, Statistics, current, running


@dataclass(frozen=True)
class NetworkCost:
    """Size of a network: trainable ``parameters``, and ``flops``: forward multiply-adds for one input.

    Example:
        >>> space = lm.LayeredSpace(widths=(8,))
        >>> cost: lm.spaces.NetworkCost = space.cost(space.sample(torch.Generator()), (1, 28, 28), way=10)
        >>> cost.flops > cost.parameters
        True
    """

    parameters: int
    flops: int

    def __add__(self, other: NetworkCost) -> NetworkCost:
        return NetworkCost(self.parameters + other.parameters, self.flops + other.flops)


class Supernet(nn.Module, ABC):
    """The weight-sharing network that holds all candidates of a space.

    One of your own defines ``forward``.

    Attributes:
        features: length of the feature vector that ``forward`` returns.
        refusal: why the network cannot be computed, and what to do; empty where it can.

    Example:
        >>> space = lm.LayeredSpace(shared=True, widths=(8,))
        >>> supernet: lm.spaces.Supernet = space.supernet((1, 28, 28))
        >>> mixture = lm.spaces.one_hot(space.choices, space.sample(torch.Generator()))
        >>> supernet(torch.rand(2, 1, 28, 28), mixture).shape == (2, supernet.features)
        True
    """

    features: int
    refusal: str = ""

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        record: Record = None,
    ) -> Tensor:
        """Embed inputs.

        Args:
            inputs: shape ``(n, channels, height, width)``.
            mixture: a gate for every choice of the space.
            noise: what ``draw_noise`` gave for ``n`` examples; None switches dropout off.
            statistics: batch-norm means and variances to normalise with; None takes those of this batch.
            record: filled with this batch's batch-norm means and variances when given.

        Returns:
            Features, shape ``(n, features)``, or of each step, ``(n, features, steps)``.

        Raises:
            ValueError: the network cannot be computed: see ``refusal``.
        """
        self._refuse_to_compute()
        with running(ForwardPass(mixture, noise, statistics, record)):
            return self._embed(inputs)

    def _embed(self, inputs: Tensor) -> Tensor:
        """The features, by layers that look at the ``current`` forward pass."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define it.")

    def _refuse_to_compute(self) -> None:
        if self.refusal:
            raise ValueError(self.refusal)

    def scores(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """What a child of the space gives for inputs: the classifier's scores of the features.

        Args:
            outputs: the parameters that ``SearchSpace.output_weights`` names.
            inputs: see ``forward``, as what follows.
            mixture: a gate for every choice.
            noise: of dropout.
            statistics: of batch-norm.
            targets: what is wanted, for networks that write a text: each token is scored given those before it. None
                lets them write by themselves.

        Returns:
            Shape ``(n, way)``, or ``(n, steps, way)``.
        """
        self._refuse_to_compute()
        with running(ForwardPass(mixture, noise, statistics)):
            return self._score(outputs, inputs, targets)

    def _score(self, outputs: Mapping[str, Tensor], inputs: Tensor, targets: Tensor | None) -> Tensor:
        """The scores, in the ``current`` forward pass."""
        return F.linear(self(inputs, *current()), outputs["head.weight"], outputs["head.bias"])

    def output_flops(self, way: int) -> int:
        """Multiply-adds of the classifier of so many outputs for one input."""
        return self.features * way

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the uniform numbers in [0, 1) from which dropout masks are made, for ``examples`` inputs."""
        return {}

    @abstractmethod
    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""


class _Scores(nn.Module):
    """Calls ``scores``, since ``functional_call`` calls ``forward``."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, outputs: Mapping[str, Tensor], inputs: Tensor, mixture: Mixture, *more: Any) -> Tensor:
        return self.supernet.scores(outputs, inputs, mixture, *more)


def score_with(
    supernet: Supernet,
    weights: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    inputs: Tensor,
    mixture: Mixture,
    *,
    noise: Mapping[str, Tensor] | None = None,
    statistics: Statistics = None,
    targets: Tensor | None = None,
) -> Tensor:
    """``Supernet.scores`` with other weights than its own: a function of them, with gradients."""
    own = {f"supernet.{name}": weight for name, weight in weights.items()}
    return functional_call(_Scores(supernet), own, (outputs, inputs, mixture, noise, statistics, targets))


@torch.no_grad()
def embed_and_record(
    supernet: Supernet, weights: Mapping[str, Tensor], mixture: Mixture, inputs: Tensor, batch_size: int = 500
) -> tuple[Tensor, dict[str, Tensor]]:
    """Embed inputs in batches, each normalised by itself, and pool their means and variances."""
    parts = -(-len(inputs) // batch_size)
    features = torch.empty(0)  # where they are of each step
    sums: dict[str, Tensor] = {}
    for part in range(parts):
        record: dict[str, Tensor] = {}
        # Every ``parts``-th input: examples ordered by class would give batches of few classes.
        batch = inputs[part::parts]
        embedded = functional_call(supernet, dict(weights), (batch, mixture), {"record": record}, tie_weights=False)
        if embedded.dim() == 2:
            if not part:
                features = embedded.new_empty(len(inputs), embedded.shape[1])
            features[part::parts] = embedded
        elif not record:
            break  # without batch-norm there is nothing to find
        for name, value in record.items():
            if name.endswith(".var"):  # to second moments, which can be pooled
                value = value + record[f"{name.removesuffix('.var')}.mean"] ** 2
            sums[name] = sums.get(name, 0.0) + len(batch) / len(inputs) * value
    for name in sums:
        if name.endswith(".var"):
            sums[name] = (sums[name] - sums[f"{name.removesuffix('.var')}.mean"] ** 2).clamp_min(0)
    return features, sums


def inherit(weights: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut the parameters of a larger supernet to those of a restricted one.

    Args:
        weights: parameters of the supernet of the whole space.
        target: parameters of the supernet of the restricted space, for their names and shapes.

    Returns:
        For each name in ``target`` the leading slice of the larger parameter.

    Raises:
        ValueError: a parameter is missing or too small.

    Example:
        >>> lm.spaces.inherit({"kernels": torch.arange(6.0).view(2, 3)}, {"kernels": torch.zeros(1, 2)})
        {'kernels': tensor([[0., 1.]])}
    """
    cut = {}
    for name, value in target.items():
        source = weights.get(name)
        if source is None or source.dim() != value.dim() or any(map(lt, source.shape, value.shape)):
            raise ValueError(
                f"The weights do not hold '{name}' {tuple(value.shape)}: they come from another space, or from an "
                "earlier version, and then are to be trained again."
            )
        cut[name] = source[tuple(map(slice, value.shape))].clone()
    return cut


class UnsharedScale(nn.BatchNorm2d):
    """Batch-norm of a child whose supernet has no scale and shift there."""


class ChannelDropout(nn.Dropout2d):
    """Drops whole channels of images, or of series, or numbers of a vector, in a child."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged."""
        if inputs.dim() == 2:
            return F.dropout(inputs, self.p, self.training)
        if inputs.dim() == 3:
            return F.dropout1d(inputs, self.p, self.training)
        return super().forward(inputs)


class BranchDropout(nn.Dropout):
    """Drops all that some examples have, in a child; the others are scaled up, so that the mean stays."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged."""
        if not self.training or not self.p:
            return inputs
        return inputs * F.dropout(inputs.new_ones(len(inputs), *[1] * (inputs.dim() - 1)), self.p)


class ChildNetwork(nn.Module, ABC):
    """A network of one architecture, which inherits from its space's supernet and can give back what it learned."""

    features: int  # length of the feature vector
    flops: int  # forward multiply-adds for one input
    head: nn.Linear
    family: str = ""  # of a union of spaces

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""

    @abstractmethod
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits.

        Raises:
            ValueError: the weights are of another space.
        """

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``, for inputs of shape ``(n, channels, height, width)``."""
        return self.head(self.embed(inputs))

    def supernet_weights(self) -> dict[str, Tensor]:
        """The inverse of ``inherit``: copies of all tensors under the supernet's names, or of leading slices there."""
        tensors = {**self._tensors(), "head.weight": self.head.weight, "head.bias": self.head.bias}
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def _inherit_head(self, weights: Mapping[str, Tensor]) -> None:
        # Copy the classifier where it has as many classes, for the leading features.
        head = weights.get("head.weight")
        if head is not None and head.shape[0] == self.head.out_features and head.shape[1] >= self.features:
            self.head.weight.copy_(head[:, : self.features])
            self.head.bias.copy_(weights["head.bias"])
