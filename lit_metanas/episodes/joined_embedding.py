"""Several embeddings of a task, one after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.episodes.task import Split
from lit_metanas.episodes.task_embedding import TaskEmbedding


class JoinedEmbedding(TaskEmbedding):
    """The features of all parts.

    Args:
        parts: the embeddings, in order.
    """

    def __init__(self, parts: list[TaskEmbedding]) -> None:
        if not parts:
            raise ValueError("JoinedEmbedding joins nothing: give at least one embedding.")
        self.parts = parts

    def features(self, train: Split, way: int) -> Tensor:
        """The features, one part after the other."""
        return torch.cat([part.features(train, way).cpu().double() for part in self.parts])
