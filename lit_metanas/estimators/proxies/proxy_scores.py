"""The estimator that reads zero-cost proxies of freshly initialised networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lit_metanas.estimators.estimator import Estimator, Measure, Score, network_measures
from lit_metanas.estimators.proxies.zero_cost import Proxy
from lit_metanas.inputs.batches import blank_inputs, channels_last, inputs_like
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import RecipeFields
from lit_metanas.spaces.architecture import Architecture, check_positive
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task, require_classes


class ProxyEstimator(Estimator):
    """A zero-cost proxy of the child, newly initialised from the seed, on one minibatch of the task's train part.

    Only the order of scores has a meaning. It needs no validation part, is the same at any fidelity, and inherits no
    weights. A canonical architecture is scored once; later calls look the value up, and are charged in full.

    Args:
        task: gives the train part that the minibatch is drawn from.
        space: the space of the architectures.
        seed: of initial weights and minibatch: all architectures see the same images.
        proxy: scores a network.
        images: most images of the minibatch. A proxy without data takes none.

    Raises:
        ValueError: ``images`` is below 1, or the proxy needs data and the train part is empty.

    Example:
        >>> task, space = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2), lm.LayeredSpace(widths=(4,))
        >>> estimator = lm.estimators.ProxyEstimator(task, space, seed=0, proxy=lm.estimators.ParameterCount())
        >>> estimator(space.sample(torch.Generator().manual_seed(0)), fidelity=1.0).cost.queries
        1
    """

    def __init__(self, task: Task, space: SearchSpace, seed: int, proxy: Proxy, images: int = 64) -> None:
        check_positive("ProxyEstimator", {"images": images})
        require_classes(task, type(self).__name__)
        self.task = task
        self.space = space
        self.seed = seed
        self.proxy = proxy
        self.images = images
        self.batch = self._minibatch()
        self._values: dict[Architecture, float] = {}

    @property
    def settings(self) -> RecipeFields:
        """The proxy and the size of the minibatch."""
        return {"proxy": type(self.proxy).__name__, "images": self.images}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Parameters, flops and latency of the child."""
        return network_measures(self.space, self.task.shape, self.task.way, self.batch.inputs.device)

    @property
    def ordinal(self) -> bool:
        """True: a proxy's values only rank networks."""
        return True

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and the proxy's passes x forward multiply-adds x images (one blank image without data)."""
        assert 0 < fidelity <= 1, fidelity
        images = len(self.batch)
        forward = self.space.cost(self.space.canonical(architecture), self.task.shape, self.task.way).flops
        cost = Cost(queries=1, images=images, flops=self.proxy.passes * forward * images)
        if not self.proxy.needs_data:
            return replace(cost, images=0)
        return cost

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Score, whatever the ``start``; UndefinedProxyError if the proxy's value is not a finite number."""
        cost = self.cost(architecture, fidelity)
        canonical = self.space.canonical(architecture)
        if canonical not in self._values:
            self._values[canonical] = self.proxy(self._network(canonical), self.batch.inputs, self.batch.labels)
        return Score(self._values[canonical], cost)

    def _network(self, architecture: Architecture) -> nn.Module:
        """The child with weights from the seed; the caller's random state is kept."""
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.space.child(architecture, self.task.shape, self.task.way)
        network = network.to(self.batch.inputs.device)
        return convert_conv2d_weight_memory_format(network, torch.channels_last)  # faster on a CPU

    def _minibatch(self) -> Split:
        """Random examples of the train part, each at most once; one blank image for a proxy without data."""
        train = self.task.train
        if not self.proxy.needs_data:
            inputs = inputs_like(torch.ones_like(blank_inputs(1, self.task.shape)), train.inputs)
            return Split(inputs, train.labels.new_zeros(1))
        if not len(train):
            raise ValueError(
                f"Task '{self.task.id}' has no training examples for {type(self.proxy).__name__} to look at: give it "
                "some, or take a proxy without data, such as Synflow."
            )
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))
        chosen = order[: self.images].to(train.inputs.device)
        return Split(channels_last(train.inputs[chosen]), train.labels[chosen])
