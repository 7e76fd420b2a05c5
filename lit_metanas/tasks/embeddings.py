"""Task embeddings: vectors that describe a task by its training examples."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.task import Split, Task


@keeps_arguments()
class TaskEmbedding(ABC):
    """Features of a data set, by which a search can begin differently on different tasks (Dataset2Vec, Jomaa 2021).

    Only the train part is looked at.

    Example:
        >>> class Brightness(lm.tasks.TaskEmbedding):
        ...     def features(self, train, way):
        ...         return train.inputs.mean()[None]
        >>> task = lm.task_from_arrays(torch.full((20, 8, 8), 0.5), torch.arange(20) % 2)
        >>> Brightness()(task)
        (0.5,)
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
            train, way = task.train, task.way
            if not isinstance(task.goal, Classification):  # all examples count as those of one class
                train, way = Split(train.inputs, torch.zeros_like(train.labels[:, 0])), 1
            found = self.features(train, way).cpu().double()
        assert found.dim() == 1
        if not bool(torch.isfinite(found).all()):
            raise ValueError(
                f"{name} of task '{task.id}' is not a finite number: look for infinite values in its images, or take "
                "another embedding."
            )
        return tuple(found.tolist())

    @abstractmethod
    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(e,)``, of training examples of ``way`` classes."""


_ROOTS = torch.tensor([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0], dtype=torch.float64).sqrt()


def as_images(inputs: Tensor) -> Tensor:
    """Inputs of any kind as images of one channel, so that tasks of all kinds have the same features."""
    # Series are images of features and steps, rows of a table images of one line, shape `(n, 1, height, steps)`. Tokens
    # become columns of eight numbers in [0, 1): the fractional parts of their multiples of irrational numbers, so that
    # different tokens have different columns (Weyl 1916).
    if inputs.dim() == 4:
        return inputs
    if inputs.dim() == 3:
        return inputs[:, None, :-1]
    if inputs.is_floating_point():
        return inputs[:, None, None]
    codes = (inputs.double()[:, None] * _ROOTS.to(inputs.device)[:, None]) % 1
    return codes.float()[:, None]


class DataStatistics(TaskEmbedding):
    """Simple and statistical meta-features (Brazdil et al. 2022, chapter 4), 15 of them.

    Logarithms of the number of classes, of examples and of channels, height and width; entropy of the class shares,
    divided by its maximum; of all pixels mean, standard deviation, skewness and excess kurtosis; of the images the mean
    and the standard deviation of their own standard deviations, mean absolute difference of neighbours in a row and in
    a column (how many edges there are), and mean distance of the channels from grey.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> len(lm.tasks.DataStatistics()(task))
        15
    """

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(15,)``."""
        images, labels = as_images(train.inputs.cpu()).double(), train.labels.cpu()
        number, channels, height, width = images.shape
        shares = torch.bincount(labels, minlength=way).double() / number
        entropy = torch.special.entr(shares).sum() / torch.tensor(max(way, 2)).log()
        sizes = torch.tensor([way, number, channels, height, width], dtype=torch.float64).log()
        mean, deviation = images.mean(), images.std(correction=0)
        scaled = (images - mean) / deviation.clamp(min=1e-6)
        own = images.flatten(1).std(dim=1, correction=0)
        pixels = [mean, deviation, (scaled**3).mean(), (scaled**4).mean() - 3, own.mean(), own.std(correction=0)]
        edges = [_mean(images.diff(dim=3).abs()), _mean(images.diff(dim=2).abs())]
        colour = (images - images.mean(dim=1, keepdim=True)).abs().mean()
        return torch.cat([sizes, torch.stack([entropy, *pixels, *edges, colour])])


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 where there are none, as in images of one row."""
    if not values.numel():
        return values.new_zeros(())
    return values.mean()
