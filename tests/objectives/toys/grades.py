"""An objective from outside: classes in an order, judged by how many steps a prediction is off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

import lit_metanas as lm
from lit_metanas.objectives.objective import Judged


@dataclass(frozen=True)
class Ordinal(lm.Objective):
    """Each score but the first says whether the class is at least that one (Frank and Hall 2001).

    Attributes:
        way: number of classes.
    """

    kind: ClassVar[str] = "ordinal"
    noun: ClassVar[str] = "grades"
    metric: ClassVar[str] = "ordinal score"

    way: int

    @classmethod
    def for_classes(cls, way: int) -> Self:
        return cls(way)

    @property
    def outputs(self) -> int:
        """One a class."""
        return self.way

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(given) or tuple(map(str, range(self.way)))

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy of all thresholds."""
        above = targets[:, None] >= torch.arange(1, self.way, device=targets.device)
        return F.binary_cross_entropy_with_logits(scores[:, 1:], above.to(scores))

    def predictions(self, scores: Tensor) -> list[int]:
        """How many thresholds are passed."""
        return (scores[:, 1:] > 0).sum(1).tolist()

    def judge(self, predictions: Sequence[int], targets: Tensor) -> Judged:
        """One less the steps that it is off, of all that it can be."""
        off = (torch.tensor(list(predictions)) - targets.cpu()).abs().double()
        return Judged(1 - off / (self.way - 1), torch.ones(len(off), dtype=torch.float64))

    def answers(self, targets: Tensor) -> list[int]:
        """The classes."""
        return targets.tolist()

    def show(self, predictions: Sequence[int], inputs: Tensor, examples: Any) -> list[str]:
        """The names of the classes."""
        return [examples.classes[label] for label in predictions]

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Class indices."""
        if targets.dim() != 1 or (len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < self.way):
            raise ValueError(f"{name} has labels that are no grades from 0 to {self.way - 1}.")

    def to_plain(self) -> dict[str, Any]:
        """Nothing but the number of classes."""
        return {}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], lm.Preprocessing]) -> Self:
        """Of so many classes."""
        return cls(names)
