"""Distillation: a network learns what another one says of the examples, and their targets where these are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Examples, Judged, Objective
from lit_metanas.objectives.regression import Regression

TEMPERATURE = 2.0  # what the scores of both networks are divided by

TEACHER_SHARE = 0.7  # the teacher's share of the loss of an example whose target is known


@dataclass(frozen=True)
class Distillation(Objective):
    """Agree with a teacher: a mean of two losses, by its outputs and by the true targets (Hinton et al. 2015).

    Both networks' scores of classes are divided by a temperature ``T`` before they become probabilities (eq. 1), and
    the loss by the teacher is ``T²`` times the Kullback-Leibler divergence of the network's from the teacher's, so that
    its gradients are as large for each temperature. Numbers have the loss of a regression, with the teacher's in place
    of the true ones. An example without a true target has the loss by the teacher alone.

    Differs from the paper in that the divergence stands in place of the cross-entropy: it has the same gradients, and
    is 0 for a network that agrees.

    Targets are float32, shape ``(n, targets + outputs)``: the class or the true numbers, NaN where they are unknown,
    and then the teacher's scores or numbers. The metric is that of the objective, with what the teacher says as the
    truth.

    Attributes:
        goal: the objective of the teacher and of the network: classification or regression.
        temperature: above 0; regression has none.
        share: that of the loss by the teacher in the loss of an example with a true target, from 0 to 1.

    Raises:
        ValueError: there is another objective, or a number is out of its range.

    Example:
        >>> teacher, labels = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0])
        >>> objective = lm.objectives.Distillation(lm.Classification(2), share=1.0)
        >>> targets = objective.targets(labels, teacher)
        >>> float(objective.loss(teacher, targets)), objective.judge([0, 1], targets).value  # it says the same
        (0.0, 1.0)

    Hinton, Vinyals, Dean. Distilling the Knowledge in a Neural Network. arXiv:1503.02531, 2015.
    """

    kind: ClassVar[str] = "distillation"
    metric: ClassVar[str] = "agreement with the teacher"
    target_type: ClassVar[torch.dtype] = torch.float32

    goal: Objective
    temperature: float = TEMPERATURE
    share: float = TEACHER_SHARE

    def __post_init__(self) -> None:
        if not isinstance(self.goal, Classification | Regression):
            raise ValueError(
                f"Distillation is for classes and numbers, and the objective is {type(self.goal).__name__}: train "
                "without a teacher."
            )
        if not 0 < self.temperature < math.inf or not 0 <= self.share <= 1:
            raise ValueError(
                f"Distillation: temperature = {self.temperature} must be above 0, and share = {self.share} from 0 to 1."
            )

    @property
    def outputs(self) -> int:
        """Those of the goal."""
        return self.goal.outputs

    def targets(self, known: Tensor | None, taught: Tensor) -> Tensor:
        """What is learned of some examples.

        Args:
            known: their true targets, as the goal has them; None if they are unknown.
            taught: the teacher's scores of classes, or its numbers, shape ``(n, outputs)``.

        Returns:
            Shape ``(n, targets + outputs)``, float32.
        """
        width = 1 if isinstance(self.goal, Classification) else self.goal.outputs
        true = taught.new_full((len(taught), width), math.nan)
        if known is not None:
            true = known.reshape(len(known), width).to(taught)
        return torch.cat([true, taught], 1).float()

    def losses(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The loss of each example."""
        known, true, taught = self._divided(targets)
        if isinstance(self.goal, Classification):
            own, wanted = ((each / self.temperature).log_softmax(1) for each in (scores, taught.to(scores)))
            # Gradients shrink with the square of the temperature (section 2), which the factor undoes.
            by_teacher = self.temperature**2 * F.kl_div(own, wanted, reduction="none", log_target=True).sum(1)
        else:
            by_teacher = self.goal.losses(scores, taught)
        share = torch.where(known, self.share, 1.0)
        return share * by_teacher + (1 - share) * self.goal.losses(scores, true, label_smoothing)

    def examples_worth(self, targets: Tensor) -> int:
        """As many as the goal's, with what the teacher says."""
        return self.goal.examples_worth(self._said(targets))

    def values(self, scores: Tensor) -> Tensor:
        """Those of the goal."""
        return self.goal.values(scores)

    def calibrated(self, scores: Tensor, targets: Tensor) -> Objective:
        """The goal itself, with what examples of known targets say of the network."""
        known, true, _ = self._divided(targets)
        return self.goal.calibrated(scores[known.to(scores.device)], true[known])

    def predictions(self, scores: Tensor) -> list[Any]:
        """Those of the goal."""
        return self.goal.predictions(scores)

    def evidence(self, scores: Tensor) -> list[Any]:
        """That of the goal."""
        return self.goal.evidence(scores)

    def answers(self, targets: Tensor) -> list[Any]:
        """What the teacher says."""
        return self.goal.answers(self._said(targets))

    def show(self, predictions: Sequence[Any], inputs: Tensor, examples: Examples) -> list[str]:
        """As the goal shows them."""
        return self.goal.show(predictions, inputs, examples)

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find true targets that are none, and outputs of a teacher that are not finite."""
        known, true, taught = self._divided(targets)
        self.goal.check_targets(name, true[known])
        if not bool(torch.isfinite(taught).all()):
            raise ValueError(f"{name} has outputs of a teacher that are not finite: take another model.")

    def judge(self, predictions: Sequence[Any], targets: Tensor) -> Judged:
        """The goal's metric, with what the teacher says as the truth."""
        return self.goal.judge(predictions, self._said(targets))

    def _divided(self, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which true targets are known, these as the goal has them, unknown ones 0, and the teacher's outputs."""
        true, taught = targets[:, : -self.outputs], targets[:, -self.outputs :]
        # The loss of unknown ones is multiplied by 0, which would leave NaN as it is.
        known, true = ~true[:, 0].isnan(), true.nan_to_num()
        if isinstance(self.goal, Classification):
            true = true[:, 0].long()
        return known, true, taught

    def _said(self, targets: Tensor) -> Tensor:
        """What the teacher says, as targets of the goal."""
        taught = targets[:, -self.outputs :]
        if isinstance(self.goal, Classification):
            return taught.argmax(1)
        return taught
