"""Spaces of linear models that a system of equations or coordinate descent trains, not gradient steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.distillation import Distillation
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import Solver
from lit_metanas.tasks.task import Split

SCALE = 5.0
"""What scores are multiplied by before a temperature is learned: margins of 1 would be probabilities of 0.7."""


class SolvedNetwork(nn.Module):
    """Scores that are linear in features."""

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

    @classmethod
    def uncounted_flops(cls, examples: int) -> int:
        """The time of a training on so many examples, in FLOPs, besides those that are counted."""
        raise NotImplementedError

    def network(self, architecture: Architecture, shape: Shape, way: int) -> SolvedNetwork:
        """The network that an architecture describes, with zeros as its weights."""
        raise NotImplementedError

    def child(
        self, architecture: Architecture, shape: Shape, way: int, weights: Mapping[str, Tensor] | None = None
    ) -> SolvedNetwork:
        """See ``SearchSpace``."""
        network = self.network(architecture, shape, way)
        if weights:
            network.load_state_dict(weights)
        return network

    def solver(self, child: nn.Module) -> Solver:
        """The child's own."""
        assert isinstance(child, SolvedNetwork)
        return child.solve

    def supernet_weights(self, child: nn.Module) -> dict[str, Tensor]:
        """Copies of all tensors."""
        return {name: tensor.clone() for name, tensor in child.state_dict().items()}


def margins_of(objective: Objective, targets: Tensor) -> tuple[Tensor, bool] | None:
    """The scores to reach, shape ``(n, outputs)``, and whether larger ones are as good; None of other objectives."""
    goal = objective.goal if isinstance(objective, Distillation) else objective
    if type(goal) not in (Classification, SeveralLabels, Regression):
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
    known = objective.calibrated(SCALE * scores, targets)
    return SCALE / getattr(known, "temperature", 1.0)
