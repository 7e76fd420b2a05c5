"""Whether a search space keeps what searchers and meta-gradients rely on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.relaxations.relaxation import Softmax
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.flop_count import telling_layers
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.space import Kind, SearchSpace
from lit_metanas.spaces.supernet import Supernet
from lit_metanas.tasks.inputs import (
    ImageShape,
    SeriesShape,
    Shape,
    TokenShape,
    as_shape,
    blank_inputs,
    describe_shape,
    inputs_like,
)
from lit_metanas.testing.choice_check import check_choices, require, sample_architectures
from lit_metanas.testing.network_count import check_cost, check_same, count_network, random_inputs
from lit_metanas.testing.step_score_check import StepScoreCheck, restrict_weights

LEAST_GRADIENT = 1e-9
"""Of a logit, as a share of the largest one."""

EXAMPLE_SHAPES: Mapping[Kind, Shape] = {
    ImageShape: ImageShape(1, 28, 28),
    SeriesShape: SeriesShape(3, 11),
    TokenShape: TokenShape(13, 11),
}
"""Of the inputs that networks are built for, unless another one is given."""


def check_space(space: ChoiceSpace, shape: Shape | None = None, way: int = 5, seed: int = 0) -> None:
    """Check that a search space keeps what searchers and meta-gradients rely on.

    Of its choices: labels are unique strings, survive Optuna and JSON, and ``canonical`` changes nothing twice. Of its
    networks, on sampled architectures in float64: the child that inherits computes what the supernet computes under
    one-hot gates, in training and in evaluation, to 1e-5; ``cost`` and ``flops`` are what is counted by hooks; a
    restricted space has some of the labels and of the parameters, and the same function; a sampled child computes its
    own candidates alone; under the softmax relaxation the gradient reaches every logit whose gate the supernet looks
    at; noise is a function of the generator. A network can be built for inputs of twice the size and of another
    number of channels, too. A space without networks has its choices checked.

    Where networks give scores of each step, no supernet computes, and what is checked are children: they begin with its
    weights, their costs are what is counted, and an example's scores depend neither on its batch nor on padding. Those
    that write depend on the tokens before a step alone, and write what they score highest.

    Args:
        space: the space.
        shape: of the inputs that networks are built for: give that of your own. None takes small ones of the first
            kind in ``space.shapes``.
        way: number of classes.
        seed: of the sampled architectures, weights and inputs.

    Raises:
        AssertionError: the space fails; one sentence says in what.
        ValueError: no network can be made of its body; one sentence names the layer, or the choice.

    Example:
        >>> from lit_metanas.spaces import LayeredSpace
        >>> check_space(LayeredSpace(depths=(1, 2), widths=(4,)), shape=(1, 8, 8))
    """
    check_choices(space, seed)
    if not isinstance(space, SearchSpace):
        return
    if shape is None:
        shape = EXAMPLE_SHAPES[space.shapes[0]]
    with _double_precision(seed):
        check = _check_of(space, shape, way, seed)
        with telling_layers(getattr(check.supernet, "body", check.supernet), shape):
            for architecture in sample_architectures(space, seed):
                check.child(architecture)
                check.cost(architecture)
                check.restriction(architecture)
            if isinstance(check, _NetworkCheck):
                check.gradients()
                check.noise()
        _check_other_shape(space, shape, way, seed)


def _check_other_shape(space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
    """Supernet and child can be built for other inputs: no layer of theirs is sized by hand for those of one shape."""
    other = _other_shape(as_shape(shape))
    try:
        check = _check_of(space, other, way, seed)
        with telling_layers(getattr(check.supernet, "body", check.supernet), other):
            check.child(*sample_architectures(space, seed, 1))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise AssertionError(
            f"{space.name} fits {describe_shape(shape)}, but not {describe_shape(other)}, so size its layers by "
            f"`shape`: {' '.join(str(error).split())}"
        ) from error


def _check_of(space: SearchSpace, shape: Shape, way: int, seed: int) -> _NetworkCheck | StepScoreCheck:
    return (_NetworkCheck if space.scored == "input" else StepScoreCheck)(space, shape, way, seed)


def _other_shape(shape: ImageShape | SeriesShape | TokenShape) -> Shape:
    """Twice as large, and another number of channels, features or tokens."""
    if isinstance(shape, ImageShape):
        return ImageShape(3 if shape.channels == 1 else 1, 2 * shape.height, 2 * shape.width)
    if isinstance(shape, SeriesShape):
        return SeriesShape(shape.features + 2, 2 * shape.steps)
    return TokenShape(shape.vocabulary + 2, 2 * shape.steps)


class _NetworkCheck:
    """The checks of one supernet, whose weights are drawn at random, and its children."""

    def __init__(self, space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
        self.space, self.shape, self.way, self.seed = space, shape, way, seed
        self.supernet: Supernet = space.supernet(shape)
        with torch.no_grad():
            for parameter in self.supernet.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        self.weights: dict[str, Tensor] = dict(self.supernet.named_parameters())
        self.support, self.query = random_inputs(8, shape), random_inputs(4, shape)
        self.head = torch.randn(way, self.supernet.features), torch.randn(way)

    def child(self, architecture: Architecture) -> None:
        """The child computes what the supernet computes under one-hot gates."""
        gates, record = one_hot(self.space.choices, architecture), dict[str, Tensor]()
        weight, bias = self.head
        with torch.no_grad():
            features = self.supernet(self.support, gates, record=record)
            require(
                features.shape == (len(self.support), self.supernet.features),
                f"the supernet's features have shape {tuple(features.shape)}, not (n, {self.supernet.features})",
            )
            self._same(
                features, self.supernet(self.support, _all_computed(gates)), architecture, "one candidate", "all"
            )
            inherited = {**self.weights, **record, "head.weight": weight, "head.bias": bias}
            child = self.space.child(architecture, self.shape, self.way, inherited)
            for layer in child.modules():
                if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                    layer.p = 0.0
            expected = self.supernet(self.query, gates, statistics=record) @ weight.T + bias
            self._same(child.eval()(self.query), expected, architecture, "the child in evaluation", "the supernet")
            learned = self.space.supernet_weights(child)
            if learned:
                twin = self.space.child(architecture, self.shape, self.way, learned).eval()
                self._same(twin(self.query), expected, architecture, "a child that inherits from the child", "it")
            scores = child.train()(self.support)
            self._same(scores, features @ weight.T + bias, architecture, "the child in training", "the supernet")

    def cost(self, architecture: Architecture) -> None:
        """Costs are what is counted, and a sampled child computes its own candidates alone."""
        child = self.space.child(architecture, self.shape, self.way).eval()
        counted = count_network(child, self._blank(1))
        check_cost(self.space.cost(architecture, self.shape, self.way), counted, architecture)
        gates = one_hot(self.space.choices, architecture)
        computed = self._count_flops(gates)
        told = self.supernet.flops(gates)
        require(told == computed, f"the supernet tells {told} multiply-adds of {architecture}, but computes {computed}")
        head = self.way * getattr(child, "features", self.supernet.features)
        require(
            computed == counted.flops - head,
            f"under one sampled child ({architecture}) the supernet computes {computed} multiply-adds, but the child "
            f"{counted.flops - head}: it computes other candidates, too",
        )

    def restriction(self, architecture: Architecture) -> None:
        """A restricted space has some of the labels, some of the parameters and the same function."""
        names = sorted(architecture)
        some = Random(self.seed).sample(names, len(names) // 2)  # noqa: S311 (the same each time)
        for kept in (names, some):
            small, net, weights = restrict_weights(self.space, architecture, kept, self.shape, self.weights)
            with torch.no_grad():
                whole = self.supernet(self.query, one_hot(self.space.choices, architecture))
                gates = one_hot(small.choices, architecture)
                features = functional_call(net, weights, (self.query, gates))
            self._same(features, whole[:, : net.features], architecture, "a restricted supernet", "the whole one")

    def gradients(self) -> None:
        """Under the softmax relaxation a gradient reaches every logit of a gate that the supernet looks at."""
        logits = {c.name: torch.randn(len(c.labels), requires_grad=True) for c in self.space.choices}
        mixture = _Watched(Softmax()(logits, {}, 0.0))
        noise = self.supernet.draw_noise(len(self.support), torch.Generator().manual_seed(self.seed))
        features = functional_call(self.supernet, self.weights, (self.support, mixture, noise))
        looked_at = [n for n, logit in logits.items() if n in mixture.names and len(logit) > 1]
        told, computed = self.supernet.flops(mixture), self._count_flops(mixture)
        require(told == computed, f"the supernet tells {told} multiply-adds of all candidates, but computes {computed}")
        if not looked_at:
            return
        loss = (features * torch.randn(features.shape)).sum() + (features**2).sum()
        found = torch.autograd.grad(loss, [logits[name] for name in looked_at], allow_unused=True)
        largest = max(float(gradient.abs().max()) for gradient in found if gradient is not None)
        labels = {choice.name: choice.labels for choice in self.space.choices}
        for name, gradient in zip(looked_at, found, strict=True):
            for place, label in enumerate(labels[name]):
                require(
                    gradient is not None and float(gradient[place].abs()) > LEAST_GRADIENT * largest,
                    f"under the softmax relaxation no gradient reaches the logit of '{label}' of '{name}'",
                )

    def noise(self) -> None:
        """Noise is a function of the generator, and a forward pass draws none by itself."""
        first, again, other = (self.supernet.draw_noise(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        require(
            first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first),
            "two generators of one seed draw different noise",
        )
        require(
            not first or any(not torch.equal(first[name], other[name]) for name in first),
            "generators of two seeds draw the same noise",
        )
        require(all(len(value) == 4 for value in first.values()), "noise for 4 inputs has not 4 rows")
        before = torch.get_rng_state()
        (architecture,) = sample_architectures(self.space, self.seed, 1)
        gates = one_hot(self.space.choices, architecture)
        with torch.no_grad():
            once, twice = (self.supernet(self.query, gates, first) for _ in range(2))
        require(torch.equal(once, twice), "the supernet gives other features for the same noise")
        require(torch.equal(before, torch.get_rng_state()), "the supernet draws from PyTorch's global generator")

    def _count_flops(self, mixture: Mixture) -> int:
        """Multiply-adds of one input: what two more inputs cost, for mixing weights costs the same for any number."""
        counts = []
        for examples in (2, 4):
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                self.supernet(self._blank(examples), mixture)
            counts.append(counter.get_total_flops())
        # The counter's flop is half a multiply-add.
        return (counts[1] - counts[0]) // 4

    def _blank(self, examples: int) -> Tensor:
        """Inputs without padding, of which a network may leave something out."""
        return inputs_like(blank_inputs(examples, self.shape), torch.empty(0))

    def _same(self, found: Tensor, expected: Tensor, architecture: Architecture, one: str, other: str) -> None:
        hint = (
            ": make every layer that depends on a choice by `build`" if isinstance(self.supernet, BodySupernet) else ""
        )
        check_same(found, expected, f"{architecture}{hint}", one, other)


class _Watched(dict[str, Gate]):
    """A mixture that notes which gates are looked at."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__(mixture)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Gate:
        self.names.add(name)
        return super().__getitem__(name)


def _all_computed(gates: Mixture) -> dict[str, Gate]:
    return {name: Gate(gate.weights, gate.index if len(gate.weights) == 1 else None) for name, gate in gates.items()}


@contextmanager
def _double_precision(seed: int) -> Iterator[None]:
    """Everything is built and drawn in float64, and PyTorch's global generator is left as it was."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_default_dtype(before)
