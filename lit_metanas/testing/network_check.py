"""Whether a space's choices keep what searchers rely on, and supernet and children compute the same at their cost."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs, inputs_like, random_inputs
from lit_metanas.inputs.shapes import Shape
from lit_metanas.relaxations.relaxation import Softmax
from lit_metanas.spaces.architecture import Architecture, labels_of
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.operations import without_fast_paths
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet, inherit

MAX_SAMPLES = 1000  # architectures that are sampled to find some that can be built


def require(condition: bool, failure: str) -> None:
    """Raise ``failure`` as an ``AssertionError`` unless the condition holds."""
    if not condition:
        raise AssertionError(f"{failure[0].upper()}{failure[1:]}.")


def sample_architectures(space: ChoiceSpace, seed: int, number: int = 6) -> list[Architecture]:
    """Different architectures that can be built, as many as are found, at most ``number``."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[Architecture, None] = {}
    for _ in range(MAX_SAMPLES):
        architecture = space.sample(generator)
        if space.violation(architecture) is None:
            found[architecture] = None
        if len(found) == min(number, space.size):
            break
    require(bool(found), f"of {MAX_SAMPLES} architectures none can be built")
    return list(found)


def check_choices(space: ChoiceSpace, seed: int) -> None:
    """Check labels, ``canonical``, ``derive`` and suggestions."""
    names = [choice.name for choice in space.choices]
    require(bool(names), f"{space.name} has no choice: ask for one in its body, for instance by build.choice")
    require(len(set(names)) == len(names), f"two choices have one name among {', '.join(names)}")
    for place, choice in enumerate(space.choices):
        require(
            set(space.proposed_labels(choice)) <= set(choice.labels), f"'{choice.name}' proposes a label that it lacks"
        )
        for name, _ in choice.active_if:
            require(name in names[:place], f"'{choice.name}' depends on '{name}', which does not come before it")
    draws = Random(seed)  # noqa: S311 (the same each time)
    for _ in range(20):
        labels = {choice.name: draws.choice(space.proposed_labels(choice)) for choice in space.choices}
        _check_labels(space, labels, draws)
    for architecture in sample_architectures(space, seed):
        require(architecture == space.canonical(architecture), f"the sampled {architecture} is not canonical")
    again, other = sample_architectures(space, seed), sample_architectures(space, seed)
    require(again == other, "two generators of one seed sample different architectures")
    generator = torch.Generator().manual_seed(seed)
    logits = {choice.name: torch.randn(len(choice.labels), generator=generator) for choice in space.choices}
    derived = space.derive(logits)
    require(derived == space.canonical(derived), f"the derived {derived} is not canonical")


def _check_labels(space: ChoiceSpace, labels: dict[str, str], draws: Random) -> None:
    import optuna

    architecture = space.canonical(labels)
    require(architecture == space.canonical(architecture), f"canonical changes {architecture} a second time")
    require(set(architecture) <= set(labels), f"{architecture} has a choice that the space does not have")
    require(
        list(space.distributions()) == [f"arch.{name}" for name in labels],
        "the distributions for Optuna are not one for each choice, under the prefix 'arch.'",
    )
    trial = optuna.trial.FixedTrial({f"arch.{name}": label for name, label in labels.items()})
    require(space.suggest(trial) == architecture, f"a trial of {labels} suggests another architecture")
    if space.violation(architecture) is None:
        equal = space.equivalent({**labels, **architecture}, draws.randrange)
        require(space.canonical(equal) == architecture, f"equivalent labels of {architecture} are another architecture")


TOLERANCE = 1e-5  # of outputs, as a share of the largest one

LEAST_GRADIENT = 1e-9  # of a logit's gradient, as a share of the largest one


class NetworkCheck:
    """The checks of one supernet, whose weights are drawn at random, and its children."""

    def __init__(self, space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
        self.space, self.shape, self.way, self.seed = space, shape, way, seed
        self.supernet: Supernet = space.supernet(shape)
        self.refusal = self.supernet.refusal
        with torch.no_grad():
            for parameter in self.supernet.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        self.weights: dict[str, Tensor] = dict(self.supernet.named_parameters())
        self.support, self.query = random_inputs(8, shape), random_inputs(4, shape)
        outputs = space.output_weights(self.supernet.features, way)
        self.outputs = {name: torch.randn(value.shape) for name, value in outputs.items()}

    def child(self, architecture: Architecture) -> None:
        """The child computes what the supernet computes under one-hot gates, and another that inherits from it, too."""
        gates, record, computes = one_hot(self.space.choices, architecture), dict[str, Tensor](), not self.refusal
        with torch.no_grad():
            if computes:
                features = self.supernet(self.support, gates, record=record)
                wanted = ["n", str(self.supernet.features), *["steps"] * (self.space.scored != "input")]
                require(
                    features.dim() == len(wanted) and features.shape[:2] == (len(self.support), self.supernet.features),
                    f"the supernet's features have shape {tuple(features.shape)}, not ({', '.join(wanted)})",
                )
                every = {name: Gate(gate.weights) for name, gate in gates.items() if len(gate.weights) > 1}
                self._same(
                    features, self.supernet(self.support, {**gates, **every}), architecture, "one candidate", "all"
                )
            child = self.space.child(architecture, self.shape, self.way, {**self.weights, **record, **self.outputs})
            for layer in child.modules():
                if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                    layer.p = 0.0
            if computes:
                expected = self.supernet.scores(self.outputs, self.query, gates, None, record)
                self._same(child.eval()(self.query), expected, architecture, "the child in evaluation", "the supernet")
                expected = self.supernet.scores(self.outputs, self.support, gates)
                self._same(child.train()(self.support), expected, architecture, "the child in training", "the supernet")
            if learned := self.space.supernet_weights(child):
                scores = self.space.child(architecture, self.shape, self.way, learned).eval()(self.query)
                expected = child.eval()(self.query)
                self._same(scores, expected, architecture, "a child that inherits from the child", "it")

    def cost(self, architecture: Architecture) -> None:
        """Costs are what is counted, and a sampled child computes its own candidates alone."""
        child = self.space.child(architecture, self.shape, self.way).eval()
        inputs, called = [self._blank(1)], list[nn.Module]()
        if self.space.scored == "target":  # what writes may end early, unless it is given a text of all steps
            inputs.append(torch.ones(1, child(inputs[0]).shape[1], dtype=torch.int64))
        for layer in [layer for layer in child.modules() if layer is not child]:
            layer.register_forward_pre_hook(lambda layer, _: called.append(layer))
        with torch.no_grad(), without_fast_paths(), FlopCounterMode(display=False) as counter:
            child(*inputs)
        # An auxiliary classifier is not called: its parameters are no cost of the network in use.
        used = {own for layer in called for own in layer.parameters()} | {*child.parameters(recurse=False)}
        flops = counter.get_total_flops() // 2  # the counter's flop is half a multiply-add
        cost = self.space.cost(architecture, self.shape, self.way)
        for what, reported, found in (
            ("parameters", cost.parameters, sum(own.numel() for own in used)),
            ("multiply-adds", cost.flops, flops),
        ):
            require(reported == found, f"{architecture} costs {reported} {what}, but its child has {found}")
        if self.refusal:
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
            computed == flops - head,
            f"under one sampled child ({architecture}) the supernet computes {computed} multiply-adds, but the child "
            f"{flops - head}: it computes other candidates, too",
        )

    def restriction(self, architecture: Architecture) -> None:
        """A restricted space has some of the labels, some of the parameters and the same function."""
        names = sorted(architecture)
        some = Random(self.seed).sample(names, len(names) // 2)  # noqa: S311 (the same each time)
        before = labels_of(self.space.choices)
        for kept in (names, some):
            small = self.space.restricted({name: architecture[name] for name in kept})
            after = labels_of(small.choices)
            require(list(before) == list(after), f"restricted to {kept} the space has other choices")
            for name, labels in after.items():
                require(set(labels) <= set(before[name]), f"restricted to {kept} the choice '{name}' has new labels")
            for name in kept:
                require(after[name] == (architecture[name],), f"'{name}' is restricted, but has labels {after[name]}")
            net = small.supernet(self.shape)
            try:
                weights = inherit(self.weights, dict(net.named_parameters()))
            except ValueError as error:
                raise AssertionError(f"{self.space.name}: restricted to {kept}: {error}") from None
            with torch.no_grad():
                whole = self.supernet(self.query, one_hot(self.space.choices, architecture))
                features = functional_call(net, weights, (self.query, one_hot(small.choices, architecture)))
            self._same(features, whole[:, : net.features], architecture, "a restricted supernet", "the whole one")

    def gradients(self) -> None:
        """Under the softmax relaxation a gradient reaches every logit of a gate that the supernet looks at."""
        logits = {c.name: torch.randn(len(c.labels), requires_grad=True) for c in self.space.choices}
        mixture = _Watched(Softmax()(logits, {}, 0.0))
        noise = self.supernet.draw_noise(len(self.support), torch.Generator().manual_seed(self.seed))
        outputs = functional_call(self.supernet, self.weights, (self.support, mixture, noise))
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
        labels = labels_of(self.space.choices)
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
        gates = one_hot(self.space.choices, *sample_architectures(self.space, self.seed, 1))
        with torch.no_grad():
            once, twice = (self.supernet(self.query, gates, first) for _ in range(2))
        require(torch.equal(once, twice), "the supernet gives other features for the same noise")
        require(torch.equal(before, torch.get_rng_state()), "the supernet draws from PyTorch's global generator")

    def _count_flops(self, mixture: Mixture) -> int:
        # Multiply-adds of one input: what two more inputs cost, for mixing weights costs the same for any number.
        counts = []
        for examples in (2, 4):
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                self.supernet(self._blank(examples), mixture)
            counts.append(counter.get_total_flops())
        # The counter's flop is half a multiply-add.
        return (counts[1] - counts[0]) // 4

    def _blank(self, examples: int) -> Tensor:
        # Inputs without padding, of which a network may leave something out.
        return inputs_like(blank_inputs(examples, self.shape), torch.empty(0))

    def _same(self, found: Tensor, expected: Tensor, architecture: Architecture, one: str, other: str) -> None:
        require(found.shape == expected.shape, f"{one} gives shape {tuple(found.shape)}, {other} {expected.shape}")
        gap = float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))
        hint = ""
        if isinstance(self.supernet, BodySupernet):
            hint = ": make every layer that depends on a choice by `build`"
        require(gap <= TOLERANCE, f"{one} and {other} differ by {gap:.1e} for {architecture}{hint}")


class _Watched(dict[str, Gate]):
    """A mixture that notes which gates are looked at."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__(mixture)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Gate:
        self.names.add(name)
        return super().__getitem__(name)
