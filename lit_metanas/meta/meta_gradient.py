"""How the outer update is derived from adapted tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.differentiation import (
    Autograd,
    Differentiation,
    Functional,
    Metrics,
    TaskMap,
    mean_loop,
    mean_vmap,
    vectorised,
)
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.inner_optimizers import Tensors
from lit_metanas.meta.learner import Adaptation, Learner
from lit_metanas.meta.parameters import Parameters, TaskNoise, draw
from lit_metanas.tasks.task import Episode


class MetaGradient(ABC):
    """A pure function of the meta-parameters and a batch of tasks.

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Attributes:
        draws: rows of relaxation noise that are drawn for each task's query set.
        second_order: whether inner gradients are differentiated, too.
    """

    draws: int = 1
    second_order: bool = False

    def __init__(self, *, task_map: TaskMap = "auto") -> None:
        self.task_map: TaskMap = task_map

    def __call__(
        self,
        learner: Learner,
        inner_loop: InnerLoop,
        parameters: Parameters,
        episodes: Sequence[Episode],
        noises: Sequence[TaskNoise],
        progress: float,
    ) -> tuple[Parameters, Metrics]:
        """Compute the outer gradient.

        Args:
            learner: supernet, relaxation and head.
            inner_loop: adaptation to a task.
            parameters: the meta-parameters.
            episodes: the meta-batch, at least one.
            noises: what ``draw`` gave, one for each episode.
            progress: place in the outer schedule, from 0 to 1.

        Returns:
            The gradient, of the structure of ``parameters`` (zeros where unused), a mean over tasks; and metrics of
            the query sets: ``loss`` and ``accuracy``, means over tasks, and ``losses`` and ``accuracies``, one a task.

        Raises:
            ValueError: learner, inner loop and task map do not go together.
        """
        gradients, metrics = self.mean(learner, inner_loop, parameters, episodes, noises, progress)
        return self.finished(gradients, metrics), metrics

    def mean(
        self,
        learner: Learner,
        inner_loop: InnerLoop,
        parameters: Parameters,
        episodes: Sequence[Episode],
        noises: Sequence[TaskNoise],
        progress: float,
    ) -> tuple[Parameters, Metrics]:
        """As a call, without ``finished``, which takes the metrics of all tasks where several processes share them."""
        self.check(learner, inner_loop)
        functional = vectorised(self.task_map, learner.relaxation, episodes[0].support.inputs.device)

        def one(episode: Episode, noise: TaskNoise) -> tuple[Parameters, Metrics]:
            adaptation = Adaptation(learner, episode, noise, progress)
            return self.task_gradient(inner_loop, parameters, adaptation, functional)

        gradients, metrics = (mean_vmap if functional else mean_loop)(one, episodes, noises)
        metrics |= {"loss": metrics["losses"].mean(), "accuracy": metrics["accuracies"].mean()}
        return gradients, metrics

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Raise ValueError where learner and inner loop do not suit this meta-gradient."""
        del learner, inner_loop

    @abstractmethod
    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """The gradient and query metrics (``task_metrics``) of one task.

        Args:
            inner_loop: how parameters move.
            parameters: the meta-parameters.
            adaptation: the task, with its learner and noise.
            functional: whether it runs under ``vmap``.
        """

    def finished(self, gradients: Parameters, metrics: Metrics) -> Parameters:
        """The mean over tasks as it is returned; a method may rescale it by the whole batch's metrics."""
        del metrics
        return gradients

    def draw(
        self,
        learner: Learner,
        inner_loop: InnerLoop,
        parameters: Parameters,
        episode: Episode,
        generator: torch.Generator,
        *,
        support_dropout: bool = True,
        query_dropout: bool = True,
    ) -> TaskNoise:
        """Draw one task's noise; see ``noise.draw``."""
        return draw(
            learner.supernet,
            learner.relaxation,
            parameters.logits,
            episode,
            generator,
            steps=inner_loop.steps,
            draws=self.draws,
            support_dropout=support_dropout,
            query_dropout=query_dropout,
        )

    def draw_noises(
        self, learner: Learner, parameters: Parameters, noise: TaskNoise, steps: int, progress: float
    ) -> list[TaskNoise]:
        """The noise of each mixture that the query set is judged under: rows of the inner steps, then the query's."""
        del learner, parameters, steps, progress
        return [noise]


def differentiation(functional: bool, *, second_order: bool = False) -> Differentiation:
    """The way to differentiate under ``vmap`` (``functional``) or outside of it."""
    return Functional(second_order=second_order) if functional else Autograd(second_order=second_order)


def query_gradient(
    inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, outer: Differentiation, at: Tensors
) -> tuple[Parameters, Metrics]:
    """The query loss's gradient with respect to some tensors of the tree, and the query metrics.

    Args:
        inner_loop: how parameters move.
        parameters: the meta-parameters.
        adaptation: the task; its ``differentiate`` takes the inner gradients.
        outer: takes this gradient.
        at: what to differentiate with respect to, under the names of ``Parameters.flat``.

    Returns:
        The tree with the gradients in place of these tensors.
    """
    labels = adaptation.episode.query.labels

    def query_loss(values: Tensors) -> tuple[Tensor, Tensor]:
        scores = inner_loop.query_scores(parameters.updated(values), adaptation)
        return cross_entropy(scores, labels), scores.detach()

    gradients, scores = outer(query_loss, at)
    return parameters.updated(gradients), task_metrics(scores, labels)


def task_metrics(scores: Tensor, labels: Tensor) -> Metrics:
    """Loss and accuracy of one query set: scores ``(n, way)``, labels ``(n,)``."""
    scores = scores.detach()
    accuracy = (scores.argmax(-1) == labels).to(scores.dtype).mean()
    return {"losses": cross_entropy(scores, labels), "accuracies": accuracy}
