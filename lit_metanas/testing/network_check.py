"""Whether supernet and children compute the same, at the cost that they report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs, inputs_like, random_inputs
from lit_metanas.inputs.shapes import Shape
from lit_metanas.relaxations.relaxation import Softmax
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet, inherit
from lit_metanas.testing.choice_check import require, sample_architectures
from lit_metanas.testing.network_count import check_cost, check_same, count_network

LEAST_GRADIENT = 1e-9
"""Of a logit, as a share of the largest one."""


def restrict_weights(
    space: SearchSpace, architecture: Architecture, kept: Sequence[str], shape: Shape, weights: dict[str, Tensor]
) -> tuple[SearchSpace, Supernet, dict[str, Tensor]]:
    """The restricted space, its supernet, and the weights that this inherits, or an AssertionError if it has others."""
    small = space.restricted({name: architecture[name] for name in kept})
    before = {choice.name: choice.labels for choice in space.choices}
    after = {choice.name: choice.labels for choice in small.choices}
    require(list(before) == list(after), f"restricted to {kept} the space has other choices")
    for name, labels in after.items():
        require(set(labels) <= set(before[name]), f"restricted to {kept} the choice '{name}' has new labels")
    for name in kept:
        require(after[name] == (architecture[name],), f"'{name}' is restricted, but has labels {after[name]}")
    supernet = small.supernet(shape)
    try:
        return small, supernet, inherit(weights, dict(supernet.named_parameters()))
    except ValueError as error:
        raise AssertionError(f"{space.name}: restricted to {kept}: {error}") from None


class NetworkCheck:
    """The checks of one supernet, whose weights are drawn at random, and its children."""

    def __init__(self, space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
        self.space, self.shape, self.way, self.seed = space, shape, way, seed
        self.supernet: Supernet = space.supernet(shape)
        with torch.no_grad():
            for parameter in self.supernet.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        self.weights: dict[str, Tensor] = dict(self.supernet.named_parameters())
        self.support, self.query = random_inputs(8, shape), random_inputs(4, shape)
        names = space.output_weights(self.supernet.features, way)
        self.outputs = {name: torch.randn(value.shape) for name, value in names.items()}

    def child(self, architecture: Architecture) -> None:
        """The child computes what the supernet computes under one-hot gates."""
        gates, record = one_hot(self.space.choices, architecture), dict[str, Tensor]()
        with torch.no_grad():
            features = self.supernet(self.support, gates, record=record)
            wanted = ["n", str(self.supernet.features), *["steps"] * (self.space.scored != "input")]
            require(
                features.dim() == len(wanted) and features.shape[:2] == (len(self.support), self.supernet.features),
                f"the supernet's features have shape {tuple(features.shape)}, not ({', '.join(wanted)})",
            )
            self._same(
                features, self.supernet(self.support, _all_computed(gates)), architecture, "one candidate", "all"
            )
            inherited = {**self.weights, **record, **self.outputs}
            child = self.space.child(architecture, self.shape, self.way, inherited)
            for layer in child.modules():
                if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                    layer.p = 0.0
            expected = self.supernet.scores(self.outputs, self.query, gates, None, record)
            self._same(child.eval()(self.query), expected, architecture, "the child in evaluation", "the supernet")
            learned = self.space.supernet_weights(child)
            if learned:
                twin = self.space.child(architecture, self.shape, self.way, learned).eval()
                self._same(twin(self.query), expected, architecture, "a child that inherits from the child", "it")
            scores = child.train()(self.support)
            expected = self.supernet.scores(self.outputs, self.support, gates)
            self._same(scores, expected, architecture, "the child in training", "the supernet")

    def cost(self, architecture: Architecture) -> None:
        """Costs are what is counted, and a sampled child computes its own candidates alone."""
        child = self.space.child(architecture, self.shape, self.way).eval()
        counted = count_network(child, *self._counted_inputs(child))
        check_cost(self.space.cost(architecture, self.shape, self.way), counted, architecture)
        if self.supernet.refusal:
            return
        gates = one_hot(self.space.choices, architecture)
        computed = self._count_flops(gates)
        reported = self.supernet.flops(gates)
        require(
            reported == computed,
            f"the supernet reports {reported} multiply-adds of {architecture}, but computes {computed}",
        )
        features = self.supernet.features
        head = self.supernet.output_flops(self.way) * getattr(child, "features", features) // features
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
        outputs = self._graded(mixture, noise)
        looked_at = [n for n, logit in logits.items() if n in mixture.names and len(logit) > 1]
        reported, computed = self.supernet.flops(mixture), self._count_flops(mixture)
        require(
            reported == computed,
            f"the supernet reports {reported} multiply-adds of all candidates, but computes {computed}",
        )
        if not looked_at:
            return
        loss = (outputs * torch.randn(outputs.shape)).sum() + (outputs**2).sum()
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

    def _graded(self, mixture: Mixture, noise: Mapping[str, Tensor]) -> Tensor:
        """What depends on all gates that the supernet looks at."""
        return functional_call(self.supernet, self.weights, (self.support, mixture, noise))

    def _counted_inputs(self, child: nn.Module) -> list[Tensor]:
        """What the child is given where multiply-adds are counted."""
        return [self._blank(1)]

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
    return {**gates, **{name: Gate(gate.weights) for name, gate in gates.items() if len(gate.weights) > 1}}
