"""Spaces of linear models that an equation system or coordinate descent trains, and ridge regressions among them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import Shape
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.distillation import Distillation
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import Solver
from lit_metanas.spaces.supernet import NetworkCost
from lit_metanas.tasks.task import Split

SCALE = 5.0  # what scores are multiplied by before a temperature is learned: margins of 1 would be probabilities of 0.7


class SolvedNetwork(nn.Module):
    """Scores that are linear in features."""

    flops: int  # forward multiply-adds for one input

    @abstractmethod
    def solve(
        self,
        part: Split,
        objective: Objective,
        decay: float,
        passes: int,
        seed: int,
        pass_ended: Callable[[], None] | None = None,
    ) -> bool:
        """Learn from examples, so that scores of classes are about calibrated; False if the objective is not solved."""
        # The larger the decay, the smaller are the weights of features. For other objectives only what features need is
        # learned.


class SolvedModels:
    """What spaces of such models have in common: there is no supernet, since models share no weights.

    Attributes:
        decays: weight decays to choose from, those first that gain most on validation parts.
        tried: the most models that are compared, of the first ones that are within all limits; None is all.
    """

    shares_weights: ClassVar[bool] = False
    decays: ClassVar[tuple[float, ...]]
    tried: ClassVar[int | None] = None

    @staticmethod
    def passes(examples: int) -> int:
        """The passes of a training on so many examples."""
        return 1

    @abstractmethod
    def uncounted_flops(self, architecture: Architecture, shape: Shape, examples: int) -> int:
        """The time of a training on so many examples, in FLOPs, besides those that are counted."""

    @abstractmethod
    def network(self, architecture: Architecture, shape: Shape, way: int) -> SolvedNetwork:
        """The network that an architecture describes, with zeros as its weights."""

    def child(
        self, architecture: Architecture, shape: Shape, way: int, weights: Mapping[str, Tensor] | None = None
    ) -> SolvedNetwork:
        """See ``SearchSpace``."""
        network = self.network(architecture, shape, way)
        if weights:
            network.load_state_dict(weights)
        return network

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """See ``SearchSpace``."""
        with torch.device("meta"):
            network = self.network(architecture, shape, way)
        return NetworkCost(sum(own.numel() for own in network.parameters()), network.flops)

    def solver(self, child: nn.Module) -> Solver:
        """The child's own."""
        assert isinstance(child, SolvedNetwork)
        return child.solve

    def supernet_weights(self, child: nn.Module) -> dict[str, Tensor]:
        """Copies of all tensors."""
        return {name: tensor.clone() for name, tensor in child.state_dict().items()}


def is_solved(objective: Objective) -> bool:
    """Whether models are solved for an objective; one from outside may have another loss."""
    return type(_goal_of(objective)) in (Classification, SeveralLabels, Regression)


def _goal_of(objective: Objective) -> Objective:
    return objective.goal if isinstance(objective, Distillation) else objective


def margins_of(objective: Objective, targets: Tensor) -> tuple[Tensor, bool] | None:
    """The scores to reach, shape ``(n, outputs)``, and whether larger ones are as good; None of other objectives."""
    goal = _goal_of(objective)
    if not is_solved(goal):
        return None
    found = torch.tensor(objective.answers(targets), dtype=torch.float64)
    if isinstance(goal, Regression):
        return (found - found.new_tensor(goal.means)) / found.new_tensor(goal.deviations), False
    if isinstance(goal, Classification):
        found = F.one_hot(found.long(), goal.outputs).double()
    return 2 * found - 1, True


def costs_of(objective: Objective, margins: Tensor, weights: Tensor | None) -> Tensor:
    """How much each example counts for each output."""
    costs = torch.ones_like(margins)
    if isinstance(objective, SeveralLabels) and objective.weights is not None:
        without, within = costs.new_tensor(objective.weights).unbind(1)
        costs = torch.where(margins > 0, within, without)
    if weights is None:
        return costs
    return costs * weights.cpu()[:, None]


def calibration(objective: Objective, scores: Tensor, targets: Tensor) -> float:
    """What to multiply scores by, so that those of examples that were not learned from are calibrated."""
    return SCALE / getattr(objective.calibrated(SCALE * scores, targets), "temperature", 1.0)


PENALTIES = tuple(10.0**power for power in range(-1, 6))  # penalties to choose from, as each feature has variance 1

MOST_SOLVED = 2048
"""With more examples, and more features, so many examples are drawn to learn from: a system of equations is solved."""

FEATURES_AT_ONCE = 8
"""Examples of which features are computed together; maps of 32 leave the cache, and take half as long again."""


class RidgeModels(SolvedModels):
    """What spaces of ridge regressions have in common.

    Attributes:
        speed_of_equations: FLOPs of equations, float64, in the time of one FLOP of a network for such inputs.
    """

    decays = (1.0,)
    speed_of_equations: ClassVar[int] = 5

    def uncounted_flops(self, architecture: Architecture, shape: Shape, examples: int) -> int:
        """That of the equations."""
        with torch.device("meta"):
            network = self.network(architecture, shape, 1)
        assert isinstance(network, RidgeNetwork)
        features = network.head.in_features
        if features > MOST_SOLVED:
            examples = min(examples, MOST_SOLVED)
        small, large = sorted((examples, features))
        return (2 * large * small**2 + 10 * small**3) // self.speed_of_equations


class RidgeNetwork(SolvedNetwork):
    """A ridge regression on features, which ``look_at`` may prepare."""

    head: nn.Linear

    @abstractmethod
    def features(self, inputs: Tensor) -> Tensor:
        """Inputs to features, shape ``(n, features)``."""

    def scales(self) -> Tensor:
        """What each feature is multiplied by once it has variance 1; by default 1."""
        return torch.ones(self.head.in_features)

    @abstractmethod
    def look_at(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Learn what features need, of inputs in a drawn order."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to ``(n, way)``."""
        if torch.compiler.is_compiling():  # a program computes as many at once as it is given
            return self.head(self.features(inputs))
        return torch.cat([self.head(self.features(some)) for some in inputs.split(FEATURES_AT_ONCE)])

    @torch.no_grad()
    def solve(
        self,
        part: Split,
        objective: Objective,
        decay: float,
        passes: int,
        seed: int,
        pass_ended: Callable[[], None] | None = None,
    ) -> bool:
        """See ``SolvedNetwork``; the decay is multiplied with the penalties to choose from."""
        device, generator = self.head.weight.device, torch.Generator().manual_seed(seed)
        self.cpu()
        order = torch.randperm(len(part), generator=generator)
        if min(len(part), self.head.in_features) > MOST_SOLVED:
            order = order[:MOST_SOLVED]
        part = part.at(order)  # no copy of more than is solved, which might be all that the memory holds
        self.look_at(part.inputs.cpu(), generator)
        labels = part.labels.cpu()
        margins = margins_of(objective, labels)
        if margins is not None:
            wanted, sided = margins
            found = torch.cat([self.features(as_floats(some.cpu())) for some in part.inputs.split(FEATURES_AT_ONCE)])
            costs = costs_of(objective, wanted, part.weights)
            model = fit_ridge(found.double(), wanted, costs, decay, self.scales().double())
            factor = calibration(objective, model.left_out, labels) if sided else 1.0
            self.head.weight.copy_(factor * model.vectors.T)
            self.head.bias.copy_(factor * model.bias)
            if pass_ended is not None:
                pass_ended()
        self.to(device)
        return margins is not None


def zero_head(features: int, way: int) -> nn.Linear:
    """A linear layer of zeros."""
    head = nn.Linear(features, way)
    for own in head.parameters():
        nn.init.zeros_(own)
    return head


@dataclass(frozen=True)
class Ridge:
    """A fitted regression."""

    vectors: Tensor  # (features, outputs)
    bias: Tensor  # (outputs,)
    left_out: Tensor  # the outputs of each example by a regression on all others, (n, outputs)


def fit_ridge(features: Tensor, wanted: Tensor, costs: Tensor, factor: float, scales: Tensor) -> Ridge:
    """Fit a regression on scaled features ``(n, features)``, float64, with a bias that is not penalised."""
    # Outputs and the costs of their squared errors have shape (n, outputs), and scales, the standard deviations of
    # scaled features, (features,). The factor is that of the penalties to choose from. Errors of left-out examples:
    # Golub, Heath, Wahba. Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter. Technometrics
    # 1979.
    if (costs == costs[:, :1]).all():
        return _fitted(features, wanted, costs[:, 0], factor, scales)
    # Each output has a system of its own.
    pairs = zip(wanted.T, costs.T, strict=True)
    found = [_fitted(features, one[:, None], own, factor, scales) for one, own in pairs]
    vectors, left_out = torch.cat([one.vectors for one in found], 1), torch.cat([one.left_out for one in found], 1)
    return Ridge(vectors, torch.cat([one.bias for one in found]), left_out)


def _fitted(features: Tensor, wanted: Tensor, costs: Tensor, factor: float, scales: Tensor) -> Ridge:
    # The same with a cost for each example, shape (n,).
    shares = (costs.clamp(min=1e-6) / costs.clamp(min=1e-6).sum())[:, None]
    weights = (len(costs) * shares).sqrt()
    mean, middle = (shares * features).sum(0), (shares * wanted).sum(0)
    features = features - mean
    deviation = (features * features).mul_(shares).sum(0).sqrt()
    # A feature that is always the same says nothing.
    deviation = torch.where(deviation > 1e-9, deviation / scales, torch.inf)
    scaled, target = features.div_(deviation).mul_(weights), (wanted - middle) * weights
    # With scaled = U S V', the smaller one of both products gives S, and U or V.
    wide = scaled.shape[0] <= scaled.shape[1]
    squares, own = torch.linalg.eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
    squares = squares.clamp(min=1e-12)
    left = own if wide else scaled @ own / squares.sqrt()
    turned = left.T @ target
    scored = [_left_out(left, squares, turned, target, shares, factor * penalty) for penalty in PENALTIES]
    place = min(range(len(scored)), key=[float((one**2).sum()) for one in scored].__getitem__)
    kept = turned / (squares + factor * PENALTIES[place])[:, None]
    vectors = scaled.T @ (own @ kept) if wide else own @ (squares.sqrt()[:, None] * kept)
    vectors = vectors / deviation[:, None]
    return Ridge(vectors, middle - mean @ vectors, wanted - scored[place] / weights)


def _left_out(left: Tensor, squares: Tensor, turned: Tensor, target: Tensor, shares: Tensor, penalty: float) -> Tensor:
    # The errors of examples that are left out, each times the root of its weight.
    kept = (squares / (squares + penalty))[:, None]
    return (target - left @ (kept * turned)) / (1 - (left**2 @ kept + shares)).clamp(min=1e-9)
