"""Meta-gradients of published architecture searches: T-NAS, after MAML, and MetaNAS, after Reptile."""

from __future__ import annotations

from dataclasses import replace

import torch

from lit_metanas.meta.differentiation import Differentiation, Metrics, TaskMap
from lit_metanas.meta.heads import Head
from lit_metanas.meta.inner_loop import Adaptation, InnerLoop, JointInnerLoop
from lit_metanas.meta.learner import Parameters
from lit_metanas.meta.meta_gradients import MAML, MetaGradient, task_metrics
from lit_metanas.meta.partial_inner_loops import AlternatingInnerLoop
from lit_metanas.relaxations.relaxation import Relaxation


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

    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Adapt, and take the difference."""
        task = replace(adaptation, differentiate=Differentiation(functional))
        with torch.no_grad():
            adapted = inner_loop.adapt(parameters, task)
            scores = inner_loop.judge(adapted, task)[1]
            gradients = Parameters(
                {k: self.weight_rate * (v - adapted.weights[k]) for k, v in parameters.weights.items()},
                {k: self.logit_rate * (v - adapted.logits[k]) for k, v in parameters.logits.items()},
                {k: self.weight_rate * (v - adapted.head[k]) for k, v in parameters.head.items()},
            )
        return gradients, task_metrics(scores, adaptation.episode.query.labels)


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
