"""Heads: features to scores of classes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lit_metanas.inputs.batches import float32
from lit_metanas.io.settings import keeps_arguments


@keeps_arguments()
class Head(ABC):
    """Scores classes from features, for one task at a time; a pure function of its parameters.

    Attributes:
        starts_from_support: ``start`` reads the support set's features.
        compares: ``scores`` reads the support set's features.

    Example:
        >>> support, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> head: lm.meta.Head = lm.meta.PrototypeLinearHead(scale=1.0)
        >>> start = head.start({}, support, labels, way=2)
        >>> head.scores(start, torch.tensor([[0.9]]), support, labels, way=2).argmax()
        tensor(1)
    """

    starts_from_support: bool = False
    compares: bool = False

    def initial(self, features: int, generator: torch.Generator, way: int | None = None) -> dict[str, Tensor]:
        """The head's meta-parameters (``Parameters.head``) before training; by default none.

        Args:
            features: number of features.
            generator: draws random values.
            way: number of classes, if the data give it.
        """
        return {}

    @abstractmethod
    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """The head with which adaptation to a task starts.

        Args:
            meta: ``Parameters.head``.
            support: features of the support set, shape ``(n, features)``; empty unless ``starts_from_support``.
            labels: classes of the support set, shape ``(n,)``.
            way: number of classes.
        """

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Score features; by default by a linear map, ``weight`` and ``bias`` of the head.

        Args:
            head: the head from ``start``, or after adaptation.
            features: shape ``(m, features)``.
            support: features of the support set, shape ``(n, features)``; empty unless ``compares``.
            labels: classes of the support set, shape ``(n,)``.
            way: number of classes.

        Returns:
            Scores (logits of a cross-entropy), shape ``(m, way)``.
        """
        return features @ head["weight"].T + head["bias"]


def prototypes(features: Tensor, labels: Tensor, way: int) -> Tensor:
    """Class means (Snell et al. 2017, Eq. 1): features ``(n, features)``, labels ``(n,)`` to ``(way, features)``."""
    members = (labels.unsqueeze(-1) == torch.arange(way, device=labels.device)).to(features.dtype)  # (n, way)
    return members.T @ features / members.sum(0).unsqueeze(-1)


def squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    """Squared distances of points ``(n, features)`` to centres ``(way, features)``, shape ``(n, way)``."""
    # A matrix product, without a difference for each pair. Around the centres' mean its terms are small.
    origin = centres.detach().mean(0)
    points, centres = points - origin, centres - origin
    lengths = points.square().sum(-1, keepdim=True) + centres.square().sum(-1)
    with float32(points.device):
        return lengths - 2 * (points @ centres.T)


class LinearHead(Head):
    """Linear with meta-learned start, as in MAML (Finn et al. 2017).

    Args:
        way: the number of classes of every task; None takes that of the data.

    Example:
        >>> head = lm.meta.LinearHead()  # ``MetaSearch`` takes the number of classes from its data
    """

    def __init__(self, *, way: int | None = None) -> None:
        self.way = way

    def initial(self, features: int, generator: torch.Generator, way: int | None = None) -> dict[str, Tensor]:
        """Weight ``(way, features)``, uniform within ``1 / sqrt(features)``, and bias ``(way,)`` of zeros.

        Raises:
            ValueError: the number of classes is unknown.
        """
        rows = self.way or way
        if rows is None:
            raise ValueError("LinearHead does not know the number of classes: give it as 'way'.")
        # The weights of torch's nn.Linear begin in the same range.
        weight = (2 * torch.rand(rows, features, generator=generator) - 1) / features**0.5
        return {"weight": weight, "bias": torch.zeros(rows)}

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """The meta-learned parameters.

        Raises:
            ValueError: the task has another number of classes.
        """
        if way != (rows := len(meta["bias"])):
            raise ValueError(f"LinearHead has {rows} classes and the task {way}: use PrototypeLinearHead.")
        return meta


class PrototypeHead(Head):
    """Negative scaled squared distances to the class means of the support set (Snell et al. 2017, Eq. 2).

    In an inner loop its loss compares support examples with means that contain them. At one shot each distance to the
    own class is zero, and adaptation only drives classes apart.

    Args:
        scale: multiplies the distances.
        learned: whether the scale is also meta-trained, by its logarithm (Oreshkin et al. 2018, Section 3.1), starting
            from ``scale``. An inner loop that moves the head adapts it. If False, the head has no parameters.
        unit: whether features and class means are scaled to length 1, so that only angles count (Gidaris and Komodakis
            2018, Section 3.2); ``scale`` is then about 5 to 20.

    Example:
        >>> head, support, labels = lm.meta.PrototypeHead(scale=1.0), torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> head.scores({}, torch.tensor([[0.5], [1.0]]), support, labels, way=2)
        tensor([[-0.2500, -0.2500],
                [-1.0000, -0.0000]])
    """

    compares = True

    def __init__(self, *, scale: float = 0.1, learned: bool = False, unit: bool = False) -> None:
        if not 0 < scale < math.inf:
            raise ValueError(f"PrototypeHead: scale is {scale}; give a number above 0, such as 1.")
        self.scale = scale
        self.learned = learned
        self.unit = unit
        # Two names, as a scale that was learned for angles does not fit distances.
        self._name = "log_unit_scale" if unit else "log_scale"

    def initial(self, features: int, generator: torch.Generator, way: int | None = None) -> dict[str, Tensor]:
        """The logarithm of the scale, shape ``()``, if it is learned."""
        if not self.learned:
            return {}
        # The logarithm, so that no step makes the scale negative.
        return {self._name: torch.tensor(math.log(self.scale))}

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """The scale, if it is learned."""
        return meta if self.learned else {}

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Compare with the class means."""
        scale: float | Tensor = head[self._name].exp() if self._name in head else self.scale
        if not self.unit:
            return -scale * squared_distances(features, prototypes(support, labels, way))
        means = normalize(prototypes(normalize(support, dim=-1), labels, way), dim=-1)
        return -scale * squared_distances(normalize(features, dim=-1), means)


class PrototypeLinearHead(Head):
    """Linear, initialised from class means, then adapted (Triantafillou et al. 2020, Proto-MAML, Section 3).

    ``-scale * |x - c|^2`` is linear in ``x``, with weight ``2 * scale * c`` and bias ``-scale * |c|^2``, up to a term
    that all classes share. One meta-training serves every way and shot.

    Args:
        scale: multiplies the squared distances (1 in the paper). A search that starts from a checkpoint takes the scale
            that ``PrototypeHead`` learned for distances. A scale learned for angles (``unit``) does not fit.

    Example:
        >>> support, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> lm.meta.PrototypeLinearHead(scale=1.0).start({}, support, labels, way=2)
        {'weight': tensor([[0.],
                [2.]]), 'bias': tensor([-0., -1.])}
    """

    starts_from_support = True

    def __init__(self, *, scale: float = 0.1) -> None:
        self.scale = scale

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """Weight ``(way, features)`` and bias ``(way,)`` from the class means."""
        scale: float | Tensor = meta["log_scale"].exp() if "log_scale" in meta else self.scale
        means = prototypes(support, labels, way)
        return {"weight": 2 * scale * means, "bias": -scale * means.square().sum(-1)}
