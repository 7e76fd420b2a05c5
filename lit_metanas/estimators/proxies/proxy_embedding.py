"""Task embeddings by zero-cost proxies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_metanas.estimators.proxies.proxy import Proxy, ProxyEstimator, UndefinedProxyError
from lit_metanas.estimators.proxies.zero_cost import GradNorm, Jacov
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.embeddings import TaskEmbedding
from lit_metanas.tasks.task import Split, Task


class ProxyEmbedding(TaskEmbedding):
    """Zero-cost proxies (Abdelfattah et al. 2021) of a few fixed architectures on one minibatch of the task.

    The networks are the same for all tasks, and their responses to the images differ. Each proxy and architecture gives
    one feature, the signed logarithm ``sign(v) * ln(1 + |v|)``, at the cost of a forward and backward pass. A proxy
    that is undefined for a network gives 0.

    Args:
        space: the architectures are drawn from it.
        proxies: by default jacov and the gradient's norm; a proxy must read images to distinguish tasks.
        architectures: number of architectures.
        images: size of the minibatch.
        seed: of architectures, initial weights and minibatch.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> embedding = lm.estimators.ProxyEmbedding(lm.LayeredSpace(widths=(4,)), architectures=2, images=8)
        >>> embedding.features(task.train, task.way).shape
        torch.Size([4])
    """

    def __init__(
        self,
        space: SearchSpace,
        proxies: Sequence[Proxy] | None = None,
        architectures: int = 4,
        images: int = 64,
        seed: int = 0,
    ) -> None:
        if architectures < 1:
            raise ValueError(f"ProxyEmbedding: {architectures} architectures are too few; give at least 1.")
        self.space = space
        self.proxies = [Jacov(), GradNorm()] if proxies is None else list(proxies)
        self.architectures = architectures
        self.images = images
        self.seed = seed

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(proxies * architectures,)``.

        Raises:
            ValueError: a proxy refuses the images, such as too few of them.
        """
        nothing = Split(train.inputs[:0], train.labels[:0])
        task = Task("", way, train, None, nothing)
        values = []
        for proxy in self.proxies:
            estimator = ProxyEstimator(task, self.space, self.seed, proxy, self.images)
            values += [_value(estimator, architecture) for architecture in self._probes()]
        return torch.tensor([math.copysign(math.log1p(abs(value)), value) for value in values], dtype=torch.float64)

    def _probes(self) -> list[Architecture]:
        """Architectures that can be built, all different if the space has so many."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn: dict[Architecture, None] = {}
        for _ in range(100 * self.architectures):
            if len(drawn) == self.architectures:
                break
            architecture = self.space.sample(generator)
            if self.space.violation(architecture) is None:
                drawn.setdefault(architecture)
        return list(drawn)


def _value(estimator: ProxyEstimator, architecture: Architecture) -> float:
    try:
        return estimator(architecture, fidelity=1.0).value
    except UndefinedProxyError:
        return 0.0
