"""The sandwich rule: the largest, the smallest and some sampled children, trained together, the largest as teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.differentiation import Metrics, TaskMap
from lit_metanas.meta.heads import Head
from lit_metanas.meta.inner_loop import Adaptation, InnerLoop
from lit_metanas.meta.learner import Parameters, Tensors
from lit_metanas.meta.meta_gradients import MetaGradient, differentiation, task_metrics
from lit_metanas.relaxations.discrete import Argmax
from lit_metanas.relaxations.relaxation import PRUNED, Relaxation
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.supernet import Supernet

Places = Mapping[str, int]
"""A child: the place of its label, for each choice."""

Alone = Literal["largest", "smallest", "likeliest"]
"""A child by its number of multiply-adds, or by the logits."""


class Sandwich(MetaGradient):
    """Trains children of all sizes on each task: the largest, the smallest, and some that the relaxation samples.

    The rule is that of Yu and Huang (2019, Universally slimmable networks, Section 3.2), which Cai et al. (2020,
    Once-for-all) took up. The largest child learns the labels. The others learn its scores of the query set, without
    gradient to it (in-place distillation, Section 3.3). Each child is computed, and charged, at its own width and
    depth. Weights and head get the mean of the children's gradients, of first order if there is an inner loop. The
    paper takes the sum, which is the same for an adaptive optimizer. The logits get no gradient.

    Size is the number of multiply-adds. If labels cost the same, such as those of a pooling, the larger logit decides.

    Args:
        sampled: number of children between the largest and the smallest.
        distillation: weight of the largest child's scores in the others' targets, from 0 to 1; labels get the rest.
        begin: share of the training in which one child is trained alone, from 0 to 1.
        alone: that child. The ``largest`` becomes a teacher (Once-for-all, Section 3.3). The ``smallest`` has the
            cheapest steps, and its weights are the leading part of all others'. The ``likeliest`` has the largest
            logits, which are those of the schedule's prior; without a prior it has the first label of each choice.
        label_smoothing: share of each label that is spread evenly over all classes, at least 0 and below 1.
        task_map: ``loop`` or ``auto``, as children differ from task to task.

    Example:
        >>> import lit_metanas as lm
        >>> model = lm.MetaSearch(
        ...     space=lm.LayeredSpace(widths=(8, 16, 32), depths=(3, 4)),
        ...     meta_gradient=lm.meta.Sandwich(),
        ...     relaxation=lm.relaxations.Uniform(),
        ... )
    """

    def __init__(
        self,
        *,
        sampled: int = 2,
        distillation: float = 1.0,
        begin: float = 0.0,
        alone: Alone = "largest",
        label_smoothing: float = 0.0,
        task_map: TaskMap = "auto",
    ) -> None:
        super().__init__(task_map=task_map)
        if sampled < 0:
            raise ValueError(f"Sandwich: sampled is {sampled}; give a number of children, or 0.")
        for name, share in (("distillation", distillation), ("begin", begin)):
            if not 0 <= share <= 1:
                raise ValueError(f"Sandwich: {name} is {share}; give a share from 0 to 1.")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"Sandwich: label_smoothing is {label_smoothing}; give a share from 0, below 1.")
        if alone not in get_args(Alone):
            raise ValueError(f"Sandwich: alone is '{alone}'; use largest, smallest or likeliest.")
        self.draws = max(1, sampled)
        self.sampled = sampled
        self.distillation = distillation
        self.begin = begin
        self.alone: Alone = alone
        self.label_smoothing = label_smoothing
        self._extremes: tuple[Supernet, bytes, list[Places]] | None = None  # of the last logits

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for a relaxation that samples children, and an inner loop that does not move logits."""
        del head
        if not relaxation.discrete:
            raise ValueError(
                f"Sandwich trains single children, which {type(relaxation).__name__} does not sample: use the "
                "relaxation Uniform."
            )
        if "logits" in inner_loop.groups:
            raise ValueError(
                f"Sandwich trains children that are drawn before a task is seen, and {type(inner_loop).__name__} moves "
                "logits: use NoInnerLoop, HeadInnerLoop, or JointInnerLoop with groups weights and head."
            )

    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Train the children one after the other; the metrics are those of the first."""
        del functional
        children = self.children(inner_loop, parameters, adaptation)
        labels = adaptation.episode.query.labels
        task = replace(adaptation, learner=replace(adaptation.learner, relaxation=Argmax()))
        largest, total = _child_gradient(inner_loop, _alone(parameters, children[0]), task, self._loss(labels, None))
        for child in children[1:]:
            loss = self._loss(labels, largest)
            _, gradients = _child_gradient(inner_loop, _alone(parameters, child), task, loss)
            total = {name: value + gradients[name] for name, value in total.items()}
        mean = {name: value / len(children) for name, value in total.items()}
        return parameters.map(torch.zeros_like).with_tensors(mean), task_metrics(largest, labels, self.label_smoothing)

    def children(self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation) -> list[Places]:
        """The children that a task trains: the largest first, or the one that is trained alone."""
        learner, logits, noise = adaptation.learner, parameters.logits, adaptation.noise
        beginning = adaptation.progress < self.begin
        if beginning and self.alone == "likeliest":
            return [{name: int(row.argmax()) for name, row in logits.items()}]
        extremes = self._find_extremes(learner.supernet, logits)
        if beginning and self.alone == "largest":
            return extremes[:1]
        if beginning:
            return extremes[-1:]
        rows = range(inner_loop.steps, inner_loop.steps + self.sampled)
        return extremes + [_labels(learner.mixture(logits, noise, row, adaptation.progress)) for row in rows]

    def flops(self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation) -> int:
        """The sum of the children's own costs."""
        children = self.children(inner_loop, parameters, adaptation)
        task = replace(adaptation, learner=replace(adaptation.learner, relaxation=Argmax()))
        return sum(MetaGradient.flops(self, inner_loop, _alone(parameters, child), task) for child in children)

    def _loss(self, labels: Tensor, teacher: Tensor | None) -> Callable[[Tensor], Tensor]:
        """The loss of scores ``(queries, way)`` under labels and, if there is one, a teacher's scores."""

        def of_labels(scores: Tensor) -> Tensor:
            return cross_entropy(scores, labels, label_smoothing=self.label_smoothing)

        if teacher is None or not self.distillation:
            return of_labels
        targets, share = teacher.softmax(-1), self.distillation
        return lambda scores: share * cross_entropy(scores, targets) + (1 - share) * of_labels(scores)

    def _find_extremes(self, supernet: Supernet, logits: Tensors) -> list[Places]:
        key = torch.cat(list(logits.values())).detach().float().cpu().numpy().tobytes()
        if self._extremes is None or self._extremes[:2] != (supernet, key):
            largest, smallest = (extreme_child(supernet, logits, sign=sign) for sign in (1, -1))
            children = [largest, smallest]
            if largest == smallest:
                children = [largest]
            self._extremes = supernet, key, children
        return self._extremes[2]


def extreme_child(supernet: Supernet, logits: Mapping[str, Tensor], *, sign: int) -> Places:
    """The child of the most (``sign`` 1) or fewest (-1) multiply-adds, by one choice at a time until none changes."""
    left = {name: (row > PRUNED / 2).nonzero().flatten().tolist() for name, row in logits.items()}
    child = {name: max(places, key=logits[name].tolist().__getitem__) for name, places in left.items()}

    def size(name: str, place: int) -> tuple[int, float]:
        return sign * supernet.flops(_mixture(logits, {**child, name: place})), float(logits[name][place])

    while True:
        before = dict(child)
        for name, places in left.items():
            if len(places) > 1:
                child[name] = max(places, key=partial(size, name))
        if child == before:
            return child


def _mixture(logits: Mapping[str, Tensor], child: Places) -> Mixture:
    return {name: Gate(row, child[name]) for name, row in logits.items()}


def _labels(mixture: Mixture) -> Places:
    labels = {}
    for name, gate in mixture.items():
        assert gate.index is not None, f"choice {name} is mixed, not sampled"
        labels[name] = gate.index
    return labels


def _alone(parameters: Parameters, child: Places) -> Parameters:
    """The parameters under logits that leave one child."""
    logits = {name: torch.full_like(row, PRUNED) for name, row in parameters.logits.items()}
    for name, place in child.items():
        logits[name][place] = 0.0
    return parameters._replace(logits=logits)


def _child_gradient(
    inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, loss: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensors]:
    """The query scores of a child, detached, and its loss's gradient by name of ``Parameters.flat``."""

    def query_loss(values: Tensors) -> tuple[Tensor, Tensor]:
        scores = inner_loop.query_scores(parameters.with_tensors(values), adaptation)
        return loss(scores), scores.detach()

    gradients, scores = differentiation(False)(query_loss, parameters.flat(("weights", "head")))
    return scores, gradients
