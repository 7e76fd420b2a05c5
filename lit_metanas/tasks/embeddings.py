"""Task embeddings: vectors that describe a task by its training examples."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.tokens import check_range
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.task import Split, Task


@keeps_arguments()
class TaskEmbedding(ABC):
    """Features of a data set, by which a search can begin differently on different tasks (Dataset2Vec, Jomaa 2021).

    Only the train part is looked at. Its examples come in an order of their own, so that the order in which a task
    holds them makes no difference, to the last bit, whatever an implementation does with them.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
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
            found = self.features(_sort_examples(train), way).cpu().double()
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


def over_classes(features: Tensor, labels: Tensor, way: int) -> Tensor:
    """Mean and standard deviation of the class means of features ``(n, d)``, shape ``(2 * d,)``."""
    # On the CPU: not every accelerator has double precision.
    _, means = _class_means(features.cpu().double(), labels.cpu(), way)
    return torch.cat([means.mean(dim=0), means.std(dim=0, correction=0)])


def _class_means(points: Tensor, labels: Tensor, way: int) -> tuple[Tensor, Tensor]:
    """Membership ``(n, c)`` of points ``(n, d)`` in classes that have examples, and the class means ``(c, d)``."""
    members = F.one_hot(labels, way).double()
    members = members[:, members.sum(dim=0) > 0]
    return members, members.T @ points / members.sum(dim=0)[:, None]


def _sort_examples(split: Split) -> Split:
    """The examples sorted by label and by a digest of their pixels."""
    inputs, labels = split.inputs.detach().contiguous(), split.labels
    rows = inputs.cpu().flatten(1).contiguous().view(torch.uint8).numpy()
    keys = [(label, hashlib.blake2b(row.tobytes()).digest()) for label, row in zip(labels.tolist(), rows, strict=True)]
    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__), device=labels.device)
    return Split(inputs[order], labels[order])


_ROOTS = torch.tensor([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0], dtype=torch.float64).sqrt()


def as_images(inputs: Tensor) -> Tensor:
    """Inputs of any kind as images of one channel, so that tasks of all kinds have the same features.

    Series are images of features and steps, rows of a table images of one line, shape ``(n, 1, height, steps)``. Tokens
    become columns of eight numbers in [0, 1): the fractional parts of their multiples of irrational numbers, so that
    different tokens have different columns (Weyl 1916).
    """
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
        >>> import torch
        >>> import lit_metanas as lm
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


QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
CHUNK = 256  # images that are convolved at a time


class ClassDistances(TaskEmbedding):
    """Distances between class means in units of the spread inside the classes, 8 features.

    Of the images, shrunk to ``size`` times ``size`` pixels: minimum, quartiles and maximum over pairs of classes of the
    distance of their means, divided by the root mean square distance of examples from the mean of their class; the
    share of all variance that lies between classes; the accuracy of the nearest mean, each example left out of its
    own; and the logarithm of the spread. Classes without examples are left out.

    Args:
        size: height and width to which images are shrunk, by averaging.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> len(lm.tasks.ClassDistances(size=4)(task))
        8
    """

    def __init__(self, size: int = 8) -> None:
        check_range("ClassDistances", size=(size, 1))
        self.size = size

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(8,)``."""
        images, labels = as_images(train.inputs.cpu()).double(), train.labels.cpu()
        points = F.adaptive_avg_pool2d(images, self.size).flatten(1)
        members, means = _class_means(points, labels, way)
        spread = ((points - members @ means) ** 2).sum(dim=1).mean().sqrt().clamp(min=1e-6)
        first, second = torch.triu_indices(len(means), len(means), offset=1)
        apart = (means[first] - means[second]).norm(dim=1) / spread
        quantiles = torch.tensor(QUANTILES, dtype=apart.dtype)
        spans = apart.new_zeros(len(QUANTILES))
        if len(apart):
            spans = torch.quantile(apart, quantiles)
        whole = ((points - points.mean(dim=0)) ** 2).sum(dim=1).mean()
        between = 1 - (spread**2 / whole.clamp(min=1e-12)).clamp(max=1)
        return torch.cat([spans, torch.stack([between, _nearest(points, members, means), spread.log()])])


def _nearest(points: Tensor, members: Tensor, means: Tensor) -> Tensor:
    """Share of examples that are nearest to the mean of the others of their class; those alone in it are wrong."""
    own = members @ members.sum(dim=0)
    distances = torch.cdist(points, means, compute_mode="donot_use_mm_for_euclid_dist")
    # Without the example itself, the mean of its class is farther by n / (n - 1).
    factor = torch.where(own > 1, own / (own - 1).clamp(min=1), torch.inf)
    distances = torch.where(members > 0, distances * factor[:, None], distances)
    right = distances.nan_to_num(nan=torch.inf).argmin(dim=1) == members.argmax(dim=1)
    return (right & (own > 1)).double().mean()


class RandomFeatures(TaskEmbedding):
    """Mean and spread over the classes of random convolutional features, ``2 * width`` features.

    A set encoder (Deep Sets, Zaheer et al. 2017; of a data set, Dataset2Vec, Jomaa et al. 2021): every image goes
    through one network, and what comes out is averaged, first over the images of a class, then over classes. It is two
    random convolutions of 5x5 and 3x3 with rectifiers and average pooling, averaged over what is left of the
    image: random features keep much of what distinguishes images (Jarrett et al. 2009; Rahimi and Recht 2008), and are
    the same in every run. Images are brought to a common size, grey ones to three equal channels.

    Args:
        width: features of an image.
        size: height and width to which images are brought.
        seed: of the network.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> len(lm.tasks.RandomFeatures(width=8)(task))
        16
    """

    def __init__(self, width: int = 8, size: int = 28, seed: int = 0) -> None:
        check_range("RandomFeatures", width=(width, 1), size=(size, 4), seed=(seed, 0))
        self.width = width
        self.size = size
        self.seed = seed

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(2 * width,)``: means over classes, then their standard deviations."""
        found = torch.cat([self._encode(part) for part in as_images(train.inputs).split(CHUNK)])
        return over_classes(found, train.labels, way)

    def _encode(self, images: Tensor) -> Tensor:
        """Random features, shape ``(n, width)``."""
        if images.shape[1] != 3:
            images = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        if images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        generator = torch.Generator().manual_seed(self.seed)
        hidden = 2 * self.width
        first = torch.randn(hidden, 3, 5, 5, generator=generator) * math.sqrt(2 / (3 * 25))
        second = torch.randn(self.width, hidden, 3, 3, generator=generator) * math.sqrt(2 / (hidden * 9))
        found = F.conv2d(2 * images.float() - 1, first.to(images.device), padding=2)
        found = F.conv2d(F.avg_pool2d(F.relu(found), 2), second.to(images.device), padding=1)
        return F.relu(found).mean(dim=(2, 3))


class JoinedEmbedding(TaskEmbedding):
    """The features of all parts.

    Args:
        parts: the embeddings, in order.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> len(lm.tasks.JoinedEmbedding([lm.tasks.DataStatistics(), lm.tasks.ClassDistances()])(task))
        23
    """

    def __init__(self, parts: list[TaskEmbedding]) -> None:
        if not parts:
            raise ValueError("JoinedEmbedding has no embeddings: give at least one.")
        self.parts = parts

    def features(self, train: Split, way: int) -> Tensor:
        """The features, one part after the other."""
        return torch.cat([part.features(train, way).cpu().double() for part in self.parts])
