"""Meta-gradients: those of the query loss after adaptation (MAML and its relatives), and Reptile's way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.meta.differentiation import (
    Differentiation,
    Metrics,
    TaskMap,
    mean_loop,
    mean_vmap,
)
from lit_metanas.meta.heads import Head
from lit_metanas.meta.inner_loop import Adaptation, AlternatingInnerLoop, HeadInnerLoop, InnerLoop, JointInnerLoop
from lit_metanas.meta.learner import Learner, Parameters, TaskNoise, Tensors
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.tasks.task import Episode


class MetaGradient(ABC):
    """A pure function of the meta-parameters and a batch of tasks.

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Attributes:
        second_order: whether inner gradients are themselves differentiated.

    Example:
        >>> gradient: lm.meta.MetaGradient = lm.meta.FOMAML()
        >>> gradient.second_order
        False
    """

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
            noises: the noise of each episode, from ``Learner.draw_noise``.
            progress: place in the outer schedule, from 0 to 1.

        Returns:
            The gradient, a mean over tasks with the structure of ``parameters`` (zeros if unused); and metrics of the
            query sets, shape ``(tasks,)``: ``losses``, with the label smoothing of the training, and ``accuracies``.

        Raises:
            ValueError: learner, inner loop and task map do not fit together.
        """
        self.check(learner.head, learner.relaxation, inner_loop)
        if self.task_map == "vmap" and learner.relaxation.discrete:
            raise ValueError(
                f"{type(learner.relaxation).__name__} computes a different child for each task, which task_map 'vmap' "
                "cannot: use 'loop'."
            )
        device = episodes[0].support.inputs.device.type
        if self.task_map == "vmap" and device == "cpu" and torch.is_autocast_enabled("cpu"):
            # torch 2.13's batch-norm fails there, by types that do not match.
            raise ValueError("task_map 'vmap' has no gradients in bf16 on a CPU: use 'loop', or precision 32-true.")
        fast = device == "cuda" and not learner.relaxation.discrete
        functional = self.task_map == "vmap" or (self.task_map == "auto" and fast)

        def one(episode: Episode, noise: TaskNoise) -> tuple[Parameters, Metrics]:
            return self.task_gradient(inner_loop, parameters, Adaptation(learner, episode, noise, progress), functional)

        return (mean_vmap if functional else mean_loop)(one, episodes, noises)

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Raise ValueError if head, relaxation and inner loop do not suit this meta-gradient."""
        del head, relaxation, inner_loop

    @abstractmethod
    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """The gradient and query metrics (``task_metrics``) of one task.

        Args:
            inner_loop: moves the parameters.
            parameters: the meta-parameters.
            adaptation: the task, with its learner and noise.
            functional: whether it runs under ``vmap``.
        """

    def flops(self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation) -> int:
        """Training cost of one task's outer gradient: 3 x forward multiply-adds x images, summed over all passes.

        The inner loop counts the support images of its steps. The support set counts once more for the head's start,
        and once more for the head's comparison or the batch-norm statistics. Inner steps on weights or logits count
        twice if they are differentiated. Only the logits of ``parameters`` are read.
        """
        learner, episode = adaptation.learner, adaptation.episode
        images = [inner_loop.support_images(episode, step) for step in range(inner_loop.steps)]
        if self.second_order and {"weights", "logits"} & set(inner_loop.groups):
            images = [2 * count for count in images]
        images.append(len(episode.query))
        if learner.looks_again:
            images[-1] += len(episode.support)
        return adaptation.flops(parameters, images)


def task_metrics(scores: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Metrics:
    """Loss as it is trained on, and accuracy, of one query set: scores ``(n, way)``, labels ``(n,)``."""
    scores = scores.detach()
    accuracy = (scores.argmax(-1) == labels).to(scores.dtype).mean()
    return {"losses": cross_entropy(scores, labels, label_smoothing=label_smoothing), "accuracies": accuracy}


class MAML(MetaGradient):
    """The query loss after adaptation, differentiated through all inner steps (Finn et al. 2017, Algorithm 1, line 8).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Attributes:
        second_order: whether inner gradients are themselves differentiated.
        label_smoothing: of the query loss; only ``PrototypeLoss`` sets it.

    Example:
        >>> loop, head = lm.meta.JointInnerLoop(steps=2, learning_rate=0.1), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.MAML(), inner_loop=loop, head=head)
    """

    second_order: bool = True
    label_smoothing: float = 0.0

    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Differentiate one task's query loss."""
        task = replace(adaptation, differentiate=Differentiation(functional, self.second_order))
        labels, smoothing = adaptation.episode.query.labels, self.label_smoothing

        def query_loss(values: Tensors) -> tuple[Tensor, Tensor]:
            scores = inner_loop.judge(inner_loop.adapt(parameters.with_tensors(values), task), task)
            return cross_entropy(scores, labels, label_smoothing=smoothing), scores.detach()

        gradients, scores = Differentiation(functional)(query_loss, parameters.flat())
        return parameters.with_tensors(gradients), task_metrics(scores, labels, smoothing)


class FOMAML(MAML):
    """MAML with inner gradients as constants (Finn et al. 2017, Section 5.2).

    Other paths to the meta-parameters are differentiated. A head made from class means, for example, passes its
    gradient on to the weights (Triantafillou et al. 2020, first-order Proto-MAML).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> loop, head = lm.meta.JointInnerLoop(steps=2, learning_rate=0.1), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.FOMAML(), inner_loop=loop, head=head)
    """

    second_order = False


class ANIL(MAML):
    """MAML whose inner loop moves the head only (Raghu et al. 2020, Section 4.1).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> loop, head = lm.meta.HeadInnerLoop(steps=2), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.ANIL(), inner_loop=loop, head=head)
    """

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for ``HeadInnerLoop`` and a head that has parameters."""
        if not isinstance(inner_loop, HeadInnerLoop) or head.compares:
            raise ValueError(
                f"ANIL adapts a linear head, not {type(head).__name__} by {type(inner_loop).__name__}: "
                "use HeadInnerLoop with PrototypeLinearHead or LinearHead."
            )


class PrototypeLoss(MAML):
    """Gradient of the prototypical loss with respect to weights and logits (Snell et al. 2017, Algorithm 1).

    It is MAML without inner steps, so there is no second order. The logits' gradient comes through the relaxation.

    Args:
        label_smoothing: share of each label that is spread evenly over all classes (Szegedy et al. 2016, Section 7), at
            least 0 and below 1. It keeps the scores of a task's own classes finite.
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(shared=True), meta_gradient=lm.meta.PrototypeLoss())
    """

    second_order = False

    def __init__(self, *, label_smoothing: float = 0.0, task_map: TaskMap = "auto") -> None:
        super().__init__(task_map=task_map)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"PrototypeLoss: label_smoothing is {label_smoothing}; give a share from 0, below 1.")
        self.label_smoothing = label_smoothing

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for a head made from the support set and no steps."""
        if inner_loop.steps or not (head.compares or head.starts_from_support):
            raise ValueError(
                f"PrototypeLoss takes class means, not {inner_loop.steps} steps of {type(inner_loop).__name__} with "
                f"{type(head).__name__}: use NoInnerLoop with PrototypeHead."
            )


class TNAS(MAML):
    """First-order outer step on weights and logits after joint inner steps on both (Lian et al. 2020, Eq. 5 and 6).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> loop, head = lm.meta.JointInnerLoop(steps=2, learning_rate=0.1), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.TNAS(), inner_loop=loop, head=head)
    """

    second_order = False

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for a ``JointInnerLoop`` that moves weights and logits."""
        if not isinstance(inner_loop, JointInnerLoop) or not {"weights", "logits"} <= set(inner_loop.groups):
            raise ValueError(
                f"TNAS steps on weights and logits together, which {type(inner_loop).__name__} over "
                f"{', '.join(inner_loop.groups) or 'nothing'} does not: use JointInnerLoop with both groups."
            )


class Reptile(MetaGradient):
    """The difference ``rate * (phi - phi_adapted)`` as a gradient (Nichol et al. 2018, Algorithm 2).

    Plain gradient descent with rate 1 then makes the paper's step. The query set is measured only. A head that each
    task makes anew has no meta-parameters to move.

    Args:
        weight_rate: multiplies the gradient of weights and head.
        logit_rate: multiplies the gradient of logits.
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> loop, head = lm.meta.JointInnerLoop(steps=2, learning_rate=0.1), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.Reptile(), inner_loop=loop, head=head)
    """

    def __init__(self, *, weight_rate: float = 1.0, logit_rate: float = 1.0, task_map: TaskMap = "auto") -> None:
        super().__init__(task_map=task_map)
        self.weight_rate = weight_rate
        self.logit_rate = logit_rate

    @torch.no_grad()
    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Adapt, and take the difference."""
        task = replace(adaptation, differentiate=Differentiation(functional))
        adapted = inner_loop.adapt(parameters, task)
        gradients = Parameters(
            {k: self.weight_rate * (v - adapted.weights[k]) for k, v in parameters.weights.items()},
            {k: self.logit_rate * (v - adapted.logits[k]) for k, v in parameters.logits.items()},
            {k: self.weight_rate * (v - adapted.head[k]) for k, v in parameters.head.items()},
        )
        return gradients, task_metrics(inner_loop.judge(adapted, task), adaptation.episode.query.labels)


class MetaNAS(Reptile):
    """Reptile on weights and logits with an alternating inner loop (Elsken et al. 2020, Eq. 5 and 6).

    With ``AnnealedSoftmax`` and an inner loop that restarts progress this is the paper's method. The default rates are
    the paper's, for an outer gradient descent of rate 1.

    Args:
        weight_rate: multiplies the gradient of weights and head.
        logit_rate: multiplies the gradient of logits.
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Example:
        >>> loop, head = lm.meta.AlternatingInnerLoop(steps=2), lm.meta.PrototypeLinearHead()
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), meta_gradient=lm.meta.MetaNAS(), inner_loop=loop, head=head)
    """

    def __init__(self, *, weight_rate: float = 1.0, logit_rate: float = 0.6, task_map: TaskMap = "auto") -> None:
        super().__init__(weight_rate=weight_rate, logit_rate=logit_rate, task_map=task_map)

    def check(self, head: Head, relaxation: Relaxation, inner_loop: InnerLoop) -> None:
        """Ask for ``AlternatingInnerLoop``."""
        if not isinstance(inner_loop, AlternatingInnerLoop):
            raise ValueError(
                f"MetaNAS moves logits and weights in turn, which {type(inner_loop).__name__} does not: "
                "use AlternatingInnerLoop, or Reptile."
            )
