"""Whether networks with scores of each step keep what searchers rely on."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import Shape
from lit_metanas.objectives.objective import BLANK
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import score_with
from lit_metanas.testing.choice_check import require
from lit_metanas.testing.network_check import NetworkCheck, restrict_weights
from lit_metanas.testing.network_count import check_same


class StepScoreCheck(NetworkCheck):
    """The checks of a space whose networks give scores of each step, of an input or of what they write."""

    def __init__(self, space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
        super().__init__(space, shape, way, seed)
        self.weights = {name: value.detach() for name, value in self.weights.items()}
        self.outputs["head.weight"] *= self.supernet.features**-0.5

    @torch.no_grad()
    def child(self, architecture: Architecture) -> None:
        """Besides what is checked of all networks: an example's scores depend on it alone."""
        if not self.supernet.refusal:
            super().child(architecture)
        child = self._child(self.space, architecture, self.weights)
        learned = self.space.supernet_weights(child)
        own = {name: tensor for name, tensor in learned.items() if name in self.weights}
        require(bool(own) or not learned, f"the child of {architecture} has no weight of the supernet")
        for name, tensor in own.items():
            part = self.weights[name][tuple(map(slice, tensor.shape))]
            require(torch.equal(tensor, part), f"the child of {architecture} does not begin with the weights '{name}'")
        scores = child(self.query)
        require(
            scores.dim() == 3 and (len(scores), scores.shape[2]) == (len(self.query), self.way),
            f"the scores of {architecture} have shape {tuple(scores.shape)}, not (n, steps, {self.way})",
        )
        if learned:
            twin = self.space.child(architecture, self.shape, self.way, learned).eval()
            check_same(twin(self.query), scores, str(architecture), "a child that inherits from the child", "it")
        for place, length in enumerate(step_mask(self.query).sum(1).tolist()):
            alone = child(self.query[place : place + 1, ..., :length])[0]
            together = scores[place, : len(alone)]
            check_same(alone, together, str(architecture), "an example by itself", "the same one among longer ones")
        if self.space.scored == "target":
            self._writing(child, scores, architecture)

    def _writing(self, child: nn.Module, scores: Tensor, architecture: Architecture) -> None:
        """Scores of targets depend on the tokens before alone, and what is written has the largest of them."""
        steps = scores.shape[1]
        targets = torch.randint(1, self.way, (len(self.query), steps))
        (forced,) = self.space.training_scores(child, self.query, targets)
        if not self.supernet.refusal:
            gates = one_hot(self.space.choices, architecture)
            expected = self.supernet.scores(self.outputs, self.query, gates, targets=targets)
            self._same(forced, expected, architecture, "the child that is given targets", "the supernet")
        for step in range(steps):
            others = targets.clone()
            others[:, step:] = 1 + targets[:, step:] % (self.way - 1)
            (changed,) = self.space.training_scores(child, self.query, others)
            require(
                torch.equal(changed[:, : step + 1], forced[:, : step + 1]),
                f"the scores of step {step + 1} depend on that token, or a later one, for {architecture}",
            )
        written = scores.argmax(2)
        (again,) = self.space.training_scores(child, self.query, written)
        within = (written == BLANK).cumsum(1) <= (written == BLANK).long()
        for place, row in enumerate(within[:, : again.shape[1]].sum(1).tolist()):
            check_same(
                again[place, :row], scores[place, :row], str(architecture), "a text that is given", "it, written"
            )

    @torch.no_grad()
    def restriction(self, architecture: Architecture) -> None:
        """A restricted space has some of the labels, some of the parameters, and children of the same function."""
        if not self.supernet.refusal:
            super().restriction(architecture)
        names = sorted(architecture)
        some = Random(self.seed).sample(names, len(names) // 2)  # noqa: S311 (the same each time)
        whole = self._child(self.space, architecture, self.weights)(self.query)
        for kept in (names, some):
            small, supernet, weights = restrict_weights(self.space, architecture, kept, self.shape, self.weights)
            leading = {name: value[..., : supernet.features] for name, value in self.outputs.items()}
            outputs = {**leading, "head.bias": self.outputs["head.bias"]}
            child = self._child(small, small.canonical(architecture), {**weights, **outputs})
            check_same(child(self.query), whole, str(architecture), "a child of a restricted space", "one of it all")

    def _child(self, space: SearchSpace, architecture: Architecture, weights: dict[str, Tensor]) -> nn.Module:
        return space.child(architecture, self.shape, self.way, {**self.outputs, **weights}).eval()

    def _graded(self, mixture: Mixture, noise: Mapping[str, Tensor]) -> Tensor:
        """Scores of targets, which depend on how tokens are read, too."""
        if self.space.scored != "target":
            return super()._graded(mixture, noise)
        with torch.no_grad():
            steps = self.supernet(self._blank(1), mixture).shape[2]
        targets = torch.randint(1, self.way, (len(self.support), steps))
        return score_with(
            self.supernet, self.weights, self.outputs, self.support, mixture, noise=noise, targets=targets
        )

    def _counted_inputs(self, child: nn.Module) -> list[Tensor]:
        """Of what writes, a text of as many steps as can be, too."""
        blank = self._blank(1)
        if self.space.scored != "target":
            return [blank]
        with torch.no_grad():
            return [blank, torch.ones(1, child(blank).shape[1], dtype=torch.int64)]
