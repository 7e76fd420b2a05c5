"""Whether networks with scores of each step keep what searchers rely on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet, inherit
from lit_metanas.tasks.inputs import Shape, blank_inputs, inputs_like, step_mask
from lit_metanas.tasks.objective import BLANK
from lit_metanas.testing.choice_check import require
from lit_metanas.testing.network_count import check_cost, check_same, count_network, random_inputs


def restrict_weights(
    space: SearchSpace, architecture: Architecture, kept: Sequence[str], shape: Shape, weights: dict[str, Tensor]
) -> tuple[SearchSpace, Supernet, dict[str, Tensor]]:
    """The space that is restricted to some labels of an architecture, its supernet, and the weights that it inherits.

    Args:
        space: the whole one.
        architecture: whose labels are kept.
        kept: names of the choices that are restricted.
        shape: of one input.
        weights: of the whole space's supernet.

    Raises:
        AssertionError: it has other choices, labels or parameters.
    """
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


class StepScoreCheck:
    """The checks of the children of a space whose networks give scores of each step, of an input or of what they write.

    Its supernet holds the weights that they begin with, and computes nothing.

    Args:
        space: the space.
        shape: of one input.
        way: number of outputs.
        seed: of the choices that are restricted.
    """

    def __init__(self, space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
        self.space, self.shape, self.way, self.seed = space, shape, way, seed
        self.supernet = space.supernet(shape)
        self.inputs = random_inputs(4, shape)
        self.weights = {
            name: (value + 0.1 * torch.randn(value.shape)).detach() for name, value in self.supernet.named_parameters()
        }
        features = self.supernet.features
        self.head = {"head.weight": torch.randn(way, features) * features**-0.5, "head.bias": torch.randn(way)}

    @torch.no_grad()
    def child(self, architecture: Architecture) -> None:
        """The child begins with the supernet's weights, and an example's scores depend on it alone."""
        child = self._child(self.space, architecture, self.weights)
        learned = self.space.supernet_weights(child)
        own = {name: tensor for name, tensor in learned.items() if name in self.weights}
        require(bool(own) or not learned, f"the child of {architecture} has no weight of the supernet")
        for name, tensor in own.items():
            part = self.weights[name][tuple(map(slice, tensor.shape))]
            require(torch.equal(tensor, part), f"the child of {architecture} does not begin with the weights '{name}'")
        scores = child(self.inputs)
        require(
            scores.dim() == 3 and (len(scores), scores.shape[2]) == (len(self.inputs), self.way),
            f"the scores of {architecture} have shape {tuple(scores.shape)}, not (n, steps, {self.way})",
        )
        if learned:
            twin = self.space.child(architecture, self.shape, self.way, learned).eval()
            check_same(twin(self.inputs), scores, str(architecture), "a child that inherits from the child", "it")
        for place, length in enumerate(step_mask(self.inputs).sum(1).tolist()):
            alone = child(self.inputs[place : place + 1, ..., :length])[0]
            together = scores[place, : len(alone)]
            check_same(alone, together, str(architecture), "an example by itself", "the same one among longer ones")
        if self.space.scored == "target":
            self._writing(child, scores, architecture)

    def _writing(self, child: nn.Module, scores: Tensor, architecture: Architecture) -> None:
        """Scores of targets depend on the tokens before alone, and what is written has the largest of them."""
        steps = scores.shape[1]
        targets = torch.randint(1, self.way, (len(self.inputs), steps))
        (forced,) = self.space.training_scores(child, self.inputs, targets)
        for step in range(steps):
            others = targets.clone()
            others[:, step:] = 1 + targets[:, step:] % (self.way - 1)
            (changed,) = self.space.training_scores(child, self.inputs, others)
            require(
                torch.equal(changed[:, : step + 1], forced[:, : step + 1]),
                f"the scores of step {step + 1} depend on that token, or a later one, for {architecture}",
            )
        written = scores.argmax(2)
        (again,) = self.space.training_scores(child, self.inputs, written)
        within = (written == BLANK).cumsum(1) <= (written == BLANK).long()
        for place, row in enumerate(within[:, : again.shape[1]].sum(1).tolist()):
            check_same(
                again[place, :row], scores[place, :row], str(architecture), "a text that is given", "it, written"
            )

    def cost(self, architecture: Architecture) -> None:
        """Costs are what is counted; of what writes, on a text of as many steps as can be."""
        child = self.space.child(architecture, self.shape, self.way).eval()
        blank = inputs_like(blank_inputs(1, self.shape), torch.empty(0))
        given = [blank]
        if self.space.scored == "target":
            with torch.no_grad():
                given.append(torch.ones(1, child(blank).shape[1], dtype=torch.int64))
        check_cost(self.space.cost(architecture, self.shape, self.way), count_network(child, *given), architecture)

    @torch.no_grad()
    def restriction(self, architecture: Architecture) -> None:
        """A restricted space has some of the labels, some of the parameters and the same function."""
        names = sorted(architecture)
        some = Random(self.seed).sample(names, len(names) // 2)  # noqa: S311 (the same each time)
        whole = self._child(self.space, architecture, self.weights)(self.inputs)
        for kept in (names, some):
            small, supernet, weights = restrict_weights(self.space, architecture, kept, self.shape, self.weights)
            head = {**self.head, "head.weight": self.head["head.weight"][:, : supernet.features]}
            child = self._child(small, small.canonical(architecture), {**weights, **head})
            check_same(child(self.inputs), whole, str(architecture), "a child of a restricted space", "one of it all")

    def _child(self, space: SearchSpace, architecture: Architecture, weights: dict[str, Tensor]) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # of what no supernet has, such as the vectors of tokens that are written
            return space.child(architecture, self.shape, self.way, {**self.head, **weights}).eval()
