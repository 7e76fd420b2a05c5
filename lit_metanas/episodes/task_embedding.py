"""What a task is like, as a vector, before any architecture was tried on it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.episodes.task import Split, Task


class TaskEmbedding(ABC):
    """Features of a data set, by which a search can begin differently on different tasks (Dataset2Vec, Jomaa 2021).

    Only the train part is looked at. Its examples come in an order of their own, so that the order in which a task
    holds them makes no difference, to the last bit, whatever an implementation does with them.
    """

    def __call__(self, task: Task) -> tuple[float, ...]:
        """The embedding of a task; of the same length for all.

        Raises:
            ValueError: the train part is empty, or a feature is not a finite number.
        """
        name = type(self).__name__
        if not len(task.train):
            raise ValueError(f"Task '{task.id}' has no training examples for {name} to look at: give it some.")
        with torch.inference_mode(False), torch.no_grad():
            found = self.features(_ordered(task.train), task.way).cpu().double()
        assert found.dim() == 1
        if not bool(torch.isfinite(found).all()):
            raise ValueError(
                f"{name} of task '{task.id}' is not a finite number: look for infinite values in its images, or take "
                "another embedding."
            )
        return tuple(float(number) for number in found)

    @abstractmethod
    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(e,)``, of training examples of ``way`` classes."""


def over_classes(features: Tensor, labels: Tensor, way: int) -> Tensor:
    """Pool features of examples, shape ``(n, d)``: mean and standard deviation of the class means, shape ``(2 * d,)``.

    Classes without examples are left out.
    """
    # On the CPU: not every accelerator has double precision.
    members = F.one_hot(labels.cpu(), way).double()
    members = members[:, members.sum(dim=0) > 0]
    means = members.T @ features.cpu().double() / members.sum(dim=0)[:, None]
    return torch.cat([means.mean(dim=0), means.std(dim=0, correction=0)])


def _ordered(split: Split) -> Split:
    """The examples sorted by label and by a digest of their pixels."""
    inputs, labels = split.inputs.detach().contiguous(), split.labels
    rows = inputs.cpu().flatten(1).contiguous().view(torch.uint8).numpy()
    keys = [(label, hashlib.blake2b(row.tobytes()).digest()) for label, row in zip(labels.tolist(), rows, strict=True)]
    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__), device=labels.device)
    return Split(inputs[order], labels[order])
