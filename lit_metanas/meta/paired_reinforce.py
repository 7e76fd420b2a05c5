"""Paired REINFORCE: a score-function gradient from two sampled children on one task."""

from __future__ import annotations

from dataclasses import replace

import torch

from lit_metanas.meta.differentiation import Metrics, TaskMap
from lit_metanas.meta.heads import Head
from lit_metanas.meta.inner_loop import Adaptation, InnerLoop
from lit_metanas.meta.learner import Learner, Parameters, TaskNoise, Tensors
from lit_metanas.meta.meta_gradients import MetaGradient, differentiation, query_gradient
from lit_metanas.relaxations.discrete import Categorical
from lit_metanas.relaxations.relaxation import Relaxation


class PairedReinforce(MetaGradient):
    """Score-function gradient of the logits with a paired baseline.

    Two children a1 and a2 are drawn from ``p = softmax(logits)``. Their query losses L1 and L2 are measured on the same
    episode under the same dropout noise. ``(L1 - L2) / 2 * grad(log p(a1) - log p(a2))`` is then an unbiased gradient
    of the expected loss (Williams 1992, with the other child as leave-one-out baseline: Kool et al. 2019). It uses only
    the losses' values: a gate need not pass a gradient, and batch-norm cannot cancel it. Weights and head get the mean
    of both children's gradients, of first order if there is an inner loop.

    Args:
        isolate: let the second child differ from the first in a single question, drawn evenly from those that the two
            draws answer differently, and multiply the gradient by their number. It stays unbiased. The influence of the
            other questions on the loss, most of the variance, cancels. Choices drawn with the same noise, such as tied
            ones, are one question.
        normalise: divide the logits' gradient by the root mean square of ``L1 - L2`` over the meta-batch, so that its
            size does not depend on the loss's scale. This biases its scale, but not its direction in a large batch.
        task_map: ``loop`` or ``auto``, as children differ from task to task.

    Example:
        >>> import lit_metanas as lm
        >>> model = lm.MetaSearch(
        ...     space=lm.LayeredSpace(shared=True),
        ...     meta_gradient=lm.meta.PairedReinforce(),
        ...     relaxation=lm.relaxations.Categorical(),
        ... )
    """

    def __init__(self, *, isolate: bool = False, normalise: bool = False, task_map: TaskMap = "auto") -> None:
        super().__init__(task_map=task_map)
        self.draws = 2 + int(isolate)  # the third picks the question
        self.isolate = isolate
        self.normalise = normalise

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for the relaxation ``Categorical``."""
        del head, inner_loop
        if not isinstance(relaxation, Categorical):
            raise ValueError(
                f"PairedReinforce draws children from softmax(logits), which {type(relaxation).__name__} does "
                "not: use the relaxation Categorical."
            )

    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Compare two children."""
        del functional
        learner, noise, progress = adaptation.learner, adaptation.noise, adaptation.progress
        noises = self.mixture_noises(learner, parameters, noise, inner_loop.steps, progress)
        first, second = (_child(inner_loop, parameters, replace(adaptation, noise=one)) for one in noises)
        metrics = {name: (first[1][name] + second[1][name]) / 2 for name in first[1]}
        metrics["differences"] = first[1]["losses"] - second[1]["losses"]
        scale = metrics["differences"] / 2
        if self.isolate:
            scale = scale * len(_questions(learner, parameters, noise, inner_loop.steps, progress))
        # The gradient of log softmax(logits)[i] is one_hot(i) - softmax(logits): the latter cancels in the difference.
        logits = {name: scale * (first[2][name] - second[2][name]) for name in parameters.logits}
        mean = first[0].map(lambda one, two: (one + two) / 2, second[0])
        return mean._replace(logits=logits), metrics

    def mixture_noises(
        self, learner: Learner, parameters: Parameters, noise: TaskNoise, steps: int, progress: float
    ) -> list[TaskNoise]:
        """The noise of each child, the same in all inner steps and for the query."""
        one, two = (_child_noise(noise, steps, child) for child in (0, 1))
        if not self.isolate:
            return [one, two]
        questions = _questions(learner, parameters, noise, steps, progress)
        if questions:
            chosen = {name: two.relaxation[name] for name in questions[max(questions)]}
            two = two._replace(relaxation={**one.relaxation, **chosen})
        return [one, two]

    def finish(self, gradients: Parameters, metrics: Metrics) -> Parameters:
        """Normalise by the tasks with finite losses, if the option is on and there is such a task."""
        differences = metrics["differences"]
        finite = differences[differences.isfinite()]
        if not self.normalise or not len(finite):
            return gradients
        size = finite.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        return gradients._replace(logits={name: value / size for name, value in gradients.logits.items()})


def _child(
    inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation
) -> tuple[Parameters, Metrics, Tensors]:
    """One child's gradient, its metrics, and its one-hot vectors by choice."""
    values = parameters.flat(("weights", "head"))
    gradients, metrics = query_gradient(inner_loop, parameters, adaptation, differentiation(False), values)
    mixture = adaptation.learner.mixture(parameters.logits, adaptation.noise, 0, adaptation.progress)
    return gradients, metrics, {name: gate.weights.detach() for name, gate in mixture.items()}


def _child_noise(noise: TaskNoise, steps: int, child: int) -> TaskNoise:
    """The noise that draws the same child in all inner steps and for the query."""
    rows = {name: value[steps + child].expand(steps + 1, *value.shape[1:]) for name, value in noise.relaxation.items()}
    return noise._replace(relaxation=rows)


def _questions(
    learner: Learner, parameters: Parameters, noise: TaskNoise, steps: int, progress: float
) -> dict[float, list[str]]:
    """The choices on which two draws disagree, by their number in the third row of noise, which tied choices share."""
    one, two = (learner.mixture(parameters.logits, _child_noise(noise, steps, child), 0, progress) for child in (0, 1))
    questions: dict[float, list[str]] = {}
    for name in parameters.logits:
        if one[name].index != two[name].index:
            questions.setdefault(float(noise.relaxation[name][-1][0]), []).append(name)
    return questions
