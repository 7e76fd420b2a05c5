"""Zero-cost proxies: numbers of a freshly initialised network that predict the accuracy it would reach."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lit_metanas.estimators.estimator import Estimator, Measure, Score, network_measures
from lit_metanas.inputs.batches import blank_inputs, channels_last, inputs_like
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import RecipeFields
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task, require_classes

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
"""All of torch's dropouts; their common base is not public."""


class UndefinedProxyError(ValueError):
    """A proxy is not a finite number for a network."""


@keeps_arguments()
class Proxy(ABC):
    """A number that should rank untrained networks as training would; higher is better.

    Attributes:
        passes: cost for each image, in units of the forward multiply-adds: 1 forward, and 1 each for the gradients of
            weights and of activations. Work on the results is not counted.
        needs_data: whether it reads images. A proxy that does not needs only the shape of ``inputs``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> import lit_metanas as lm
        >>> class Biases(lm.estimators.Proxy):
        ...     passes, needs_data = 0, False
        ...
        ...     def value(self, network, inputs, labels):
        ...         named = network.named_parameters()
        ...         return float(sum(weight.numel() for name, weight in named if name.endswith("bias")))
        >>> Biases()(nn.Linear(3, 2), torch.rand(1, 3), torch.tensor([0]))
        2.0
    """

    passes: int
    needs_data: bool

    def __call__(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """Score a network without changing it.

        Args:
            network: images in, class scores out. Its batch-norm uses the batch's statistics if the proxy needs data.
                Its dropout is off, as it would only add noise.
            inputs: shape ``(n, channels, height, width)``, on the network's device.
            labels: class indices, shape ``(n,)``.

        Raises:
            UndefinedProxyError: the score is not a finite number.
        """
        with torch.inference_mode(False), torch.enable_grad():
            copy = deepcopy(network).train(self.needs_data)
            for module in copy.modules():
                if isinstance(module, DROPOUTS):
                    module.eval()
            value = self.value(copy, inputs.clone(), labels.clone())
        if not math.isfinite(value):
            raise UndefinedProxyError(
                f"{type(self).__name__} of this network is {value}: it says nothing about it, so leave the network "
                "out or take another proxy."
            )
        return value

    @abstractmethod
    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; ``network`` is a copy that may be changed."""


def layer_weights(network: nn.Module) -> list[Tensor]:
    """Weights of all convolutions and linear layers, without biases, as the literature's proxies sum over them."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def gradients(value: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """The gradient by each weight; zero if ``value`` does not depend on it."""
    if not value.requires_grad:
        return [torch.zeros_like(weight) for weight in weights]
    return [*torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)]


class ProxyEstimator(Estimator):
    """A zero-cost proxy of the child, newly initialised from the seed, on one minibatch of the task's train part.

    The score is the proxy's value. Only its order has a meaning, and it needs no validation part. It is the same at any
    fidelity, and no weights are inherited. A canonical architecture is scored once. Later calls look the value up, and
    are charged in full.

    Args:
        task: gives the train part that the minibatch is drawn from.
        space: the space of the architectures.
        seed: of initial weights and minibatch: all architectures see the same images.
        proxy: scores a network.
        images: size of the minibatch, or of the train part if that is smaller. A proxy without data takes none.

    Raises:
        ValueError: ``images`` is below 1, or the proxy needs data and the train part is empty.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> estimator = lm.estimators.ProxyEstimator(task, space, seed=0, proxy=lm.estimators.ParameterCount())
        >>> estimator(space.sample(torch.Generator().manual_seed(0)), fidelity=1.0).cost.queries
        1
    """

    def __init__(self, task: Task, space: SearchSpace, seed: int, proxy: Proxy, images: int = 64) -> None:
        if images < 1:
            raise ValueError(f"ProxyEstimator: a minibatch of {images} images is too small; give at least 1.")
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
        """Score; ``start`` is unused, as proxies measure fresh networks.

        Raises:
            UndefinedProxyError: the proxy's value is not a finite number.
        """
        del start
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
