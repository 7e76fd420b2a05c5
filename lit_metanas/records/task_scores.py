"""What earlier searches tell of one task, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture


# Not frozen, for Lightning's precision plugins refuse frozen dataclasses in batches; treat it as immutable.
@dataclass(eq=False)
class TaskScores:
    """The architectures that were scored on one task, each once, over all searches of it.

    Attributes:
        task_id: the task.
        features: the encoded architectures, shape ``(n, d)``, float64.
        scores: their validation scores as the searches gave them, the higher the better, shape ``(n,)``, float64.
        order: how many architectures the search that scored each had scored before it, shape ``(n,)``, int64.
        embedding: features of the task itself, shape ``(e,)``, float64; of length 0 where the records have none.
        architectures: what was scored, in the same order; may be left empty.
        cost: of all these searches.
    """

    task_id: str
    features: Tensor
    scores: Tensor
    order: Tensor
    embedding: Tensor
    architectures: tuple[Architecture, ...] = ()
    cost: Cost = field(default_factory=Cost)

    def __len__(self) -> int:
        return len(self.scores)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TaskScores:
        """Return the same scores on another device."""
        features, scores, order, embedding = (
            tensor.to(device, non_blocking=non_blocking)
            for tensor in (self.features, self.scores, self.order, self.embedding)
        )
        return TaskScores(self.task_id, features, scores, order, embedding, self.architectures, self.cost)
